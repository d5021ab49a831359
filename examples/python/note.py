"""Sends the message on standard input to everybody in its To, Cc and Bcc; the account is in EXOSEND_* variables.

    LD_LIBRARY_PATH=lib python3 note.py < message.eml
"""
import ctypes
import sys

send = ctypes.CDLL("libexosend.so.0").exosend_send
send.argtypes = [
    ctypes.c_char_p,
    ctypes.POINTER(ctypes.c_char_p),
    ctypes.c_char_p,
    ctypes.c_size_t,
    ctypes.c_char_p,
    ctypes.c_size_t,
]

message = sys.stdin.buffer.read()
report = ctypes.create_string_buffer(500)
code = send(None, None, message, len(message), report, len(report))
print(report.value.decode())
sys.exit(code & 0xFF)
