/* What no caller should give: a kind comes back, and no byte outside the buffers is read or written. Each buffer ends where
 * a page begins that nobody may touch. */
#define _GNU_SOURCE
#include <exosend.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define CHECK(what) ((what) ? (void)0 : (printf("%s:%d: %s\n", __FILE__, __LINE__, #what), exit(1)))
#define ROOM 4096

static char *guarded(void)
{
    char *pages = mmap(NULL, 2 * ROOM, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(pages != MAP_FAILED && mprotect(pages + ROOM, ROOM, PROT_NONE) == 0);
    return pages + ROOM;
}

/* A copy that ends where its last byte does, and can only be read. */
static const char *at_the_end(const void *bytes, size_t length)
{
    char *end = guarded();
    memcpy(end - length, bytes, length);
    CHECK(mprotect(end - ROOM, ROOM, PROT_READ) == 0);
    return end - length;
}

#define TEXT(text) at_the_end(text, sizeof(text))
#define SETTINGS "mailbox=robot@contoso.com\ntenant=t\nclient_id=c\nclient_secret=marked-secret\nserver=localhost:1\nauthority=https://localhost:1"
#define MESSAGE "To: ann@example.com\n\nx"

static char whole[ROOM];

static int call(const char *settings, const char *const *to, const void *message, size_t length)
{
    memset(whole, 'x', sizeof whole);
    int code = exosend_send(settings, to, message, length, whole, sizeof whole);
    CHECK(memchr(whole, 0, sizeof whole) != NULL && strlen(whole) > 0);
    CHECK(strstr(whole, "marked") == NULL && strchr(whole, '\n') == NULL);
    CHECK(whole[strlen(whole) + 1] == 'x');
    return code;
}

static void is_input(int line, int code, const char *named)
{
    if (code != EXOSEND_INPUT || strstr(whole, named) == NULL) {
        printf("%s:%d: %#x %s\n", __FILE__, line, code, whole);
        exit(1);
    }
}

#define IS_INPUT(call, named) is_input(__LINE__, call, named)

static void whatever_is_given(void)
{
    const char *settings = TEXT(SETTINGS), *message = at_the_end(MESSAGE, strlen(MESSAGE));
    size_t length = strlen(MESSAGE);
    const char *ann[] = {TEXT("ann@example.com"), NULL};
    const char *const *to = (const char *const *)at_the_end(ann, sizeof ann);

    IS_INPUT(call(NULL, NULL, NULL, 0), "mailbox");
    IS_INPUT(call(TEXT(""), to, message, length), "mailbox");
    IS_INPUT(call(TEXT("\xff\xfe"), to, message, length), "line 1: not UTF-8");
    IS_INPUT(call(TEXT("mailbox = a@b.org\nnonsense"), to, message, length), "line 2");
    IS_INPUT(call(TEXT("tenant=a\nTENANT=b"), to, message, length), "tenant");
    IS_INPUT(call(TEXT("log = stderr"), to, message, length), "log");
    IS_INPUT(call(TEXT("queue = first"), to, message, length), "queue");
    IS_INPUT(call(TEXT("timeout = never"), to, message, length), "timeout");
    IS_INPUT(call(settings, to, NULL, 7), "empty");
    IS_INPUT(call(settings, to, message, 0), "empty");
    IS_INPUT(call(settings, to, message, SIZE_MAX), "longer");
    IS_INPUT(call(settings, NULL, TEXT("no header at all"), 16), "no recipient");
    IS_INPUT(call(settings, NULL, TEXT("To: nobody\n\n"), 12), "nobody");
    IS_INPUT(call(settings, NULL, TEXT("To: a@x.org\n Bcc: b@x.org\n\n"), 27), "Bcc");
    static const char *none[] = {NULL}, *odd[] = {"", NULL}, *bytes[] = {"\xff@x.org", NULL};
    static const char *forged[] = {"ann@x.org>\r\nDATA", NULL}, *accent[] = {"\xc3\xa4rger", NULL};
    IS_INPUT(call(settings, none, message, length), "no recipient");
    IS_INPUT(call(settings, odd, message, length), "empty");
    IS_INPUT(call(settings, bytes, message, length), "UTF-8");
    IS_INPUT(call(settings, forged, message, length), "not allowed");
    IS_INPUT(call(settings, accent, message, length), "\xc3\xa4rger");

    /* The last line has no end, and nothing stands behind it. */
    int code = call(settings, to, message, length);
    CHECK(EXOSEND_KIND(code) == EXOSEND_NETWORK && (code & EXOSEND_TRANSIENT));
    CHECK(EXOSEND_KIND(call(settings, NULL, message, length)) == EXOSEND_NETWORK);
}

static void whatever_room_there_is(void)
{
    const char *settings = TEXT(SETTINGS), *to[] = {"\xc3\xa4\xc3\xb6\xe2\x82\xac", NULL};
    IS_INPUT(call(settings, to, "x", 1), to[0]);
    char *end = guarded();
    for (size_t room = 0; room < strlen(whole) + 3; room++) {
        memset(end - ROOM, 'x', ROOM);
        CHECK(exosend_send(settings, to, "x", 1, end - room, room) == EXOSEND_INPUT);
        CHECK(end[-(ptrdiff_t)room - 1] == 'x');
        if (room == 0)
            continue;
        size_t length = strlen(end - room);
        CHECK(length < room && strncmp(whole, end - room, length) == 0);
        /* Cut, if at all, before a byte that begins a character. */
        CHECK((whole[length] & 0xc0) != 0x80);
        CHECK(length == strlen(whole) || room - length <= 3);
    }
    CHECK(exosend_send(settings, to, "x", 1, NULL, 0) == EXOSEND_INPUT);
    CHECK(exosend_send(settings, to, "x", 1, NULL, 500) == EXOSEND_INPUT);
}

int main(void)
{
    clearenv();
    whatever_is_given();
    whatever_room_there_is();
    return 0;
}
