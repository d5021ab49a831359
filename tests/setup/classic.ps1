# The classic way: a permission in Entra, and full access to the mailbox.
#
# In the Entra admin center first: App registrations, this application,
# API permissions, Add a permission, APIs my organization uses,
# Office 365 Exchange Online, Application permissions, SMTP.SendAsApp;
# then a Global Administrator's Grant admin consent. A managed identity is given it so:
# https://learn.microsoft.com/powershell/entra-powershell/grant-api-permissions-managed-identity
#
# Mailbox     'robot@contoso.com'
# Application '6731de76-14a6-49ae-97bc-6eba6914391e'
# Tenant      'contoso.onmicrosoft.com'
# Once: Install-Module ExchangeOnlineManagement
# (in PowerShell 7.6, or Windows PowerShell 5.1; in 7.4 and 7.5 with -RequiredVersion 3.9.2)
Connect-ExchangeOnline

# Makes the application known to Exchange, unless it is.
New-ServicePrincipal -AppId '6731de76-14a6-49ae-97bc-6eba6914391e' -ObjectId '8a1f9c0e-5d0b-4f43-93a8-6f0c2b7d1e55' -DisplayName 'exosend'

# Lets it into the mailbox. Until the servers know: minutes to an hour.
Add-MailboxPermission -Identity 'robot@contoso.com' -User '8a1f9c0e-5d0b-4f43-93a8-6f0c2b7d1e55' -AccessRights FullAccess

# SMTP AUTH must not be switched off for the mailbox: that stops OAuth too.
Set-CASMailbox -Identity 'robot@contoso.com' -SmtpClientAuthenticationDisabled $false
