# App RBAC: Exchange holds the permission. Give the application none in Entra.
# To be run by a member of the role group Organization Management.
# Mailbox     'robot@contoso.com'
# Application 'PUT-THE-APPLICATION-ID-HERE'
# Tenant      ''
# Once: Install-Module ExchangeOnlineManagement
# (in PowerShell 7.6, or Windows PowerShell 5.1; in 7.4 and 7.5 with -RequiredVersion 3.9.2)
Connect-ExchangeOnline

# The Object ID is that of the Enterprise application, NOT of the App registration:
# Entra admin center, Enterprise apps, this application, Object ID; or
# az ad sp show --id PUT-THE-APPLICATION-ID-HERE --query id
# Makes the application known to Exchange, unless it is.
New-ServicePrincipal -AppId 'PUT-THE-APPLICATION-ID-HERE' -ObjectId 'PUT-THE-OBJECT-ID-HERE' -DisplayName 'exosend'

# Once for each organization, before its first role assignment.
if ((Get-OrganizationConfig).IsDehydrated) { Enable-OrganizationCustomization }

# Lets it send, as this mailbox and no other.
New-ManagementScope -Name 'exosend robot@contoso.com' -RecipientRestrictionFilter 'UserPrincipalName -eq ''robot@contoso.com'' -or EmailAddresses -eq ''smtp:robot@contoso.com'''
New-ManagementRoleAssignment -Name 'exosend robot@contoso.com' -Role 'Application SMTP.SendAsApp' -App 'PUT-THE-APPLICATION-ID-HERE' -CustomResourceScope 'exosend robot@contoso.com'

# SMTP AUTH must not be switched off for the mailbox: that stops OAuth too.
Set-CASMailbox -Identity 'robot@contoso.com' -SmtpClientAuthenticationDisabled $false

# InScope: True means done. The servers know 30 minutes after the last try, or within 2 hours.
Test-ServicePrincipalAuthorization -Identity 'PUT-THE-APPLICATION-ID-HERE' -Resource 'robot@contoso.com'
