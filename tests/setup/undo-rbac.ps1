# Takes App RBAC back.
# Mailbox     'robot@contoso.com'
# Application '6731de76-14a6-49ae-97bc-6eba6914391e'
# Tenant      'contoso.onmicrosoft.com'
# Once: Install-Module ExchangeOnlineManagement
# (in PowerShell 7.6, or Windows PowerShell 5.1; in 7.4 and 7.5 with -RequiredVersion 3.9.2)
Connect-ExchangeOnline

# The permission for this mailbox.
Remove-ManagementRoleAssignment -Identity 'exosend robot@contoso.com'
Remove-ManagementScope -Identity 'exosend robot@contoso.com'

# SMTP AUTH of the mailbox as the organization has it.
Set-CASMailbox -Identity 'robot@contoso.com' -SmtpClientAuthenticationDisabled $null

# Only if this application sends from no other mailbox, nor in another way. Deleting it in Entra does that too, but leaves the scope.
Remove-ServicePrincipal -Identity '6731de76-14a6-49ae-97bc-6eba6914391e'
