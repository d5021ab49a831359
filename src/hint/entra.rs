//! AADSTS numbers of the token endpoint: facts.md, "AADSTS codes".

/// In the words for Error: `what it means: what to do`.
pub(super) fn hint(code: u64) -> Option<&'static str> {
    Some(match code {
        // The most frequent of all: facts.md, "AADSTS codes".
        7_000_215 => {
            "the secret is wrong, most often its Secret ID was taken: copy its Value (App registrations > \
             Certificates & secrets), which is shown once, or make a new one"
        }
        7_000_222 => {
            "the secret has expired: make a new one (App registrations > Certificates & secrets), or use a certificate"
        }
        7_000_218 => "the request has no credential: set a client secret or a certificate",
        700_016 => {
            "the tenant does not know the application: check `client_id` (Application ID, not Object ID) and `tenant`"
        }
        // Sign-in without a service principal is being retired.
        7_000_229 => {
            "the application has no service principal in this tenant: az ad sp create --id <client_id>, then check \
             its permission"
        }
        7_000_112 => {
            "the application is disabled: check Enterprise applications > Properties > Enabled for users to sign in"
        }
        700_025 => {
            "the application is a public client: App registrations > Authentication > Allow public client flows: No"
        }
        90_002 => {
            "there is no such tenant: check `tenant` (its id, or a domain such as contoso.onmicrosoft.com) and `cloud`"
        }
        // facts.md, "Clouds"
        90_038 | 900_432 | 900_382 => {
            "the tenant is in another cloud: set `cloud` (gcc-high, dod: login.microsoftonline.us and \
             smtp.office365.us; china: login.partner.microsoftonline.cn and smtp.partner.outlook.cn)"
        }
        // One resource with /.default: facts.md, "Token endpoint".
        70_011 | 1_002_012 | 700_022 => {
            "the scope is wrong: it must be exactly https://outlook.office365.com/.default (other clouds have their own)"
        }
        500_011 => {
            "the tenant does not know the resource: check `scope` and `cloud`, and that the tenant has Exchange Online"
        }
        // facts.md, "Permissions": App RBAC has no API permission to consent to.
        65_001 | 650_057 => {
            "the permission is missing or without consent: API permissions > Office 365 Exchange Online > \
             SMTP.SendAsApp > Grant admin consent, or use App RBAC, which needs none"
        }
        700_027 | 700_030 => {
            "Entra does not know the certificate, or its key is another: upload the certificate (App registrations > \
             Certificates & secrets), compare thumbprints, check the clock (date -u)"
        }
        700_024 => {
            "the assertion is too old or too new: check the clock (date -u), and that the federated token file is \
             read anew each time"
        }
        700_021 => {
            "the assertion is for another application: its `iss` and `sub` must be the client ID"
        }
        700_023 => {
            "the assertion is for another address: check `tenant` and `authority`, which make its `aud`"
        }
        50_027 => {
            "the assertion is malformed: check that the token file holds one JWT and nothing else"
        }
        // Public logs name 700212, the audience, beside Microsoft's page.
        70_021 | 700_211 | 700_212 | 700_213 => {
            "no federated credential fits: compare issuer, subject and audience byte for byte (App registrations > \
             Certificates & secrets > Federated credentials)"
        }
        50_034 => {
            "a user was asked for, not an application: check that the program uses client credentials, not a user name"
        }
        53_003 | 530_035 => {
            "a policy blocked the login: check Conditional Access for workload identities and security defaults \
             (Entra > Sign-in logs)"
        }
        50_105 => {
            "nobody is assigned to the application: Enterprise applications > Properties > Assignment required: No"
        }
        900_144 | 9_002_313 => {
            "the request is malformed: check that each field is there, and the secret percent-encoded"
        }
        50_196 | 90_055 => "too many token requests: keep each token for its hour (`token_cache`)",
        90_033 | 90_024 | 50_033 | 90_006 => "Entra has a passing fault: try again in some minutes",
        _ => return None,
    })
}
