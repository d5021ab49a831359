//! What Entra's codes mean. F§2.3.

/// Codes, and what to do about them.
pub(super) type Row = (&'static [u32], &'static str);

pub(super) const CODES: &[Row] = &[
    (
        &[7000215],
        "the secret is wrong. Most often its Secret ID was pasted: take the Value, shown once when a secret is made \
         (Certificates & secrets)",
    ),
    (
        &[7000222],
        "the secret has expired: make a new one under Certificates & secrets, or use a certificate",
    ),
    (
        &[7000218],
        "no credential arrived: check that `client_secret` is set, and that no proxy changes the request",
    ),
    (
        &[700016],
        "the application is not in this tenant: check `client_id` (Application ID, not an Object ID) and `tenant`",
    ),
    (
        &[7000229],
        "the application has no service principal in this tenant: az ad sp create --id <client_id>",
    ),
    (
        &[7000112],
        "the application is disabled: Enterprise applications > Properties > Enabled for users to sign in: Yes",
    ),
    (
        &[700025],
        "the application is a public client, which has no secret: App registrations > Authentication > Allow public \
         client flows: No",
    ),
    (
        &[90002],
        "there is no such tenant: check `tenant` (its ID, or a domain such as contoso.onmicrosoft.com) and `cloud`",
    ),
    (
        &[90038, 900432, 900382],
        "the tenant is in another cloud: set `cloud` (gcc-high, dod or china)",
    ),
    (
        &[70011, 1002012, 700022],
        "the scope must be exactly one resource with /.default: https://outlook.office365.com/.default",
    ),
    (
        &[500011],
        "the tenant does not know the resource in `scope`: check it, and that the tenant has Exchange Online",
    ),
    (
        &[65001, 650057],
        "no consent: API permissions > Grant admin consent, for Office 365 Exchange Online, not Microsoft Graph",
    ),
    (
        &[700027, 700030],
        "the certificate is not registered with the application: upload it under Certificates & secrets, and compare the \
         thumbprints",
    ),
    (
        &[700024],
        "the assertion is too old or from the future: check this machine's clock (date -u); a federated token file must \
         be a fresh one",
    ),
    (
        &[70021, 700211, 700212, 700213],
        "no federated credential fits: compare issuer, subject and audience with Certificates & secrets > Federated \
         credentials, letter by letter",
    ),
    (
        &[700021, 700023, 50027],
        "the assertion was not made for this application and tenant: check `client_id`, `tenant` and `authority`",
    ),
    (
        &[50034],
        "this is a user's login: an application needs client credentials, without user name and password",
    ),
    (
        &[53003, 530035],
        "Conditional Access or security defaults blocked it: look at the policies for workload identities",
    ),
    (
        &[50105],
        "the application requires assignment: Enterprise applications > Properties > Assignment required: No",
    ),
    (
        &[900144, 9002313],
        "the request is incomplete or malformed: check for stray characters in `tenant`, `client_id` and `scope`; another \
         program must URL-encode the secret",
    ),
    (
        &[50196, 90055],
        "too many token requests: keep the token (`token_cache`), and wait some minutes",
    ),
    (
        &[90033, 90024, 50033, 90006],
        "Entra has a passing trouble: try again later",
    ),
];
