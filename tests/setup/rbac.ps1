# App RBAC: Exchange holds the permission. Give the application none in Entra.
# Mailbox     'robot@contoso.com'
# Application '6731de76-14a6-49ae-97bc-6eba6914391e'
# Tenant      'contoso.onmicrosoft.com'
# Once: Install-Module ExchangeOnlineManagement
Connect-ExchangeOnline

# Makes the application known to Exchange.
New-ServicePrincipal -AppId '6731de76-14a6-49ae-97bc-6eba6914391e' -ObjectId '8a1f9c0e-5d0b-4f43-93a8-6f0c2b7d1e55' -DisplayName 'exosend'

# Lets it send, as this mailbox and no other.
New-ManagementScope -Name 'exosend robot@contoso.com' -RecipientRestrictionFilter 'UserPrincipalName -eq ''robot@contoso.com'''
New-ManagementRoleAssignment -Name 'exosend robot@contoso.com' -Role 'Application SMTP.SendAsApp' -App '6731de76-14a6-49ae-97bc-6eba6914391e' -CustomResourceScope 'exosend robot@contoso.com'

# SMTP AUTH must not be switched off for the mailbox: that stops OAuth too.
Set-CASMailbox -Identity 'robot@contoso.com' -SmtpClientAuthenticationDisabled $false

# InScope: True means done. It takes up to 2 hours until the servers know.
Test-ServicePrincipalAuthorization -Identity '6731de76-14a6-49ae-97bc-6eba6914391e' -Resource 'robot@contoso.com'
