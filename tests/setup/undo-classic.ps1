# Takes the classic way back.
# Mailbox     'robot@contoso.com'
# Application '6731de76-14a6-49ae-97bc-6eba6914391e'
# Tenant      'contoso.onmicrosoft.com'
# Once: Install-Module ExchangeOnlineManagement
# (in PowerShell 7.6, or Windows PowerShell 5.1; in 7.4 and 7.5 with -RequiredVersion 3.9.2)
Connect-ExchangeOnline

# The access to this mailbox.
Remove-MailboxPermission -Identity 'robot@contoso.com' -User '8a1f9c0e-5d0b-4f43-93a8-6f0c2b7d1e55' -AccessRights FullAccess

# SMTP AUTH of the mailbox as the organization has it.
Set-CASMailbox -Identity 'robot@contoso.com' -SmtpClientAuthenticationDisabled $null

# Only if this application sends from no other mailbox, nor in another way.
Remove-ServicePrincipal -Identity '6731de76-14a6-49ae-97bc-6eba6914391e'

# In the Entra admin center: App registrations, this application,
# API permissions, SMTP.SendAsApp, Remove permission.
