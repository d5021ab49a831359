# App RBAC: Exchange holds the permission. Give the application none in Entra.
# Mailbox     'robot@contoso.com'
# Application 'PUT-THE-APPLICATION-ID-HERE'
# Tenant      ''
# Once: Install-Module ExchangeOnlineManagement
Connect-ExchangeOnline

# The Object ID is that of the Enterprise application, NOT of the App registration:
# Entra admin center, Enterprise applications, this application, Object ID; or
# az ad sp show --id PUT-THE-APPLICATION-ID-HERE --query id
# Makes the application known to Exchange.
New-ServicePrincipal -AppId 'PUT-THE-APPLICATION-ID-HERE' -ObjectId 'PUT-THE-OBJECT-ID-HERE' -DisplayName 'exosend'

# Lets it send, as this mailbox and no other.
New-ManagementScope -Name 'exosend robot@contoso.com' -RecipientRestrictionFilter 'UserPrincipalName -eq ''robot@contoso.com'''
New-ManagementRoleAssignment -Name 'exosend robot@contoso.com' -Role 'Application SMTP.SendAsApp' -App 'PUT-THE-APPLICATION-ID-HERE' -CustomResourceScope 'exosend robot@contoso.com'

# SMTP AUTH must not be switched off for the mailbox: that stops OAuth too.
Set-CASMailbox -Identity 'robot@contoso.com' -SmtpClientAuthenticationDisabled $false

# InScope: True means done. It takes up to 2 hours until the servers know.
Test-ServicePrincipalAuthorization -Identity 'PUT-THE-APPLICATION-ID-HERE' -Resource 'robot@contoso.com'
