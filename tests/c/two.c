/* Two archives in Rust in one program. */
#include <exosend.h>

int other(void);

int main(void)
{
    return !(other() == 1 && exosend_send("", 0, "x", 1, 0, 0) == EXOSEND_INPUT);
}
