"""Reads every N.eml of a folder by Python's email package, whose strict policy raises for each defect."""

import email
import email.policy
import pathlib
import sys

policy = email.policy.SMTP.clone(raise_on_defect=True)


def check(path):
    message = email.message_from_bytes(path.read_bytes(), policy=policy)
    subject, name = path.with_suffix(".expected").read_text("utf-8").split("\n")
    assert message["subject"] == subject, (message["subject"], subject)
    names = [part.get_filename() for part in message.walk() if part.get_filename()]
    assert name in names, (names, name)
    for field, value in message.items():
        assert not value.defects, (field, value.defects)
    for part in message.walk():
        assert not part.defects, part.defects
        if not part.is_multipart():
            part.get_content()


paths = sorted(pathlib.Path(sys.argv[1]).glob("*.eml"))
for path in paths:
    try:
        check(path)
    except Exception as error:
        sys.exit(f"{path}: {type(error).__name__}: {error}\n{path.read_text('utf-8')[:1500]}")
print(len(paths), "messages, no defect")
