"""Judges assertions by PyJWT and cryptography: a second opinion on what the stand-in for Entra takes.

Reads one JSON object a line, {"assertion", "certificate", "client_id", "token_url"}, and answers with a line each:
"yes", or "no" and why. Debian: python3-jwt, python3-cryptography.
"""

import base64
import json
import sys
import time

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes

NEEDED = ["aud", "exp", "iss", "jti", "nbf", "sub"]


def check(assertion, certificate, client_id, token_url):
    certificate = x509.load_pem_x509_certificate(certificate.encode("ascii"))
    header = jwt.get_unverified_header(assertion)
    thumbprint = base64.urlsafe_b64encode(certificate.fingerprint(hashes.SHA256())).rstrip(b"=").decode("ascii")
    if header.get("x5t#S256") != thumbprint:
        raise ValueError("x5t#S256 is not the certificate's")
    if header.get("typ") != "JWT":
        raise ValueError("typ is not JWT")
    claims = jwt.decode(
        assertion,
        certificate.public_key(),
        algorithms=["PS256"],
        audience=token_url,
        issuer=client_id,
        options={"require": NEEDED},
    )
    if claims["sub"] != client_id:
        raise ValueError("sub is not the client")
    if claims["exp"] > time.time() + 600 + 2:
        raise ValueError("exp is more than ten minutes ahead")
    if not isinstance(claims["jti"], str) or not claims["jti"]:
        raise ValueError("jti is no text")


for line in sys.stdin:
    try:
        check(**json.loads(line))
        print("yes")
    except Exception as error:
        print(f"no: {type(error).__name__}: {error}")
