# App RBAC: Exchange holds the permission. Give the application none in Entra.
# To be run by a member of the role group Organization Management.
# Mailbox     'robot@contoso.com'
# Application '6731de76-14a6-49ae-97bc-6eba6914391e'
# Tenant      'contoso.onmicrosoft.com'
# Once: Install-Module ExchangeOnlineManagement
# (in PowerShell 7.6, or Windows PowerShell 5.1; in 7.4 and 7.5 with -RequiredVersion 3.9.2)
Connect-ExchangeOnline

# Makes the application known to Exchange, unless it is.
New-ServicePrincipal -AppId '6731de76-14a6-49ae-97bc-6eba6914391e' -ObjectId '8a1f9c0e-5d0b-4f43-93a8-6f0c2b7d1e55' -DisplayName 'exosend'

# Once for each organization, before its first role assignment.
if ((Get-OrganizationConfig).IsDehydrated) { Enable-OrganizationCustomization }

# Lets it send, as this mailbox and no other.
New-ManagementScope -Name 'exosend robot@contoso.com' -RecipientRestrictionFilter 'UserPrincipalName -eq ''robot@contoso.com'' -or EmailAddresses -eq ''smtp:robot@contoso.com'''
New-ManagementRoleAssignment -Name 'exosend robot@contoso.com' -Role 'Application SMTP.SendAsApp' -App '6731de76-14a6-49ae-97bc-6eba6914391e' -CustomResourceScope 'exosend robot@contoso.com'

# SMTP AUTH must not be switched off for the mailbox: that stops OAuth too.
Set-CASMailbox -Identity 'robot@contoso.com' -SmtpClientAuthenticationDisabled $false

# InScope: True means done. The servers know 30 minutes after the last try, or within 2 hours.
Test-ServicePrincipalAuthorization -Identity '6731de76-14a6-49ae-97bc-6eba6914391e' -Resource 'robot@contoso.com'
