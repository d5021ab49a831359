// Sends a note; the account is in EXOSEND_* variables.
//
//	CGO_CFLAGS="-I $PWD/include" CGO_LDFLAGS="-L $PWD/lib" go build note.go && ./note ann@example.com
package main

// #cgo LDFLAGS: -l:libexosend.a
// #include <exosend.h>
// #include <stdlib.h>
import "C"

import (
	"fmt"
	"os"
	"unsafe"
)

func main() {
	message := []byte("Subject: backup done\n\n212 GiB in 41 min\n")
	// C memory: cgo lets no pointer to Go's stand in an array that C reads.
	to := (*[2]*C.char)(C.calloc(2, C.size_t(unsafe.Sizeof(uintptr(0)))))
	to[0] = C.CString(os.Args[1])
	var report [500]C.char
	code := C.exosend_send(nil, &to[0], unsafe.Pointer(&message[0]), C.size_t(len(message)), &report[0], C.size_t(len(report)))
	fmt.Println(C.GoString(&report[0]))
	os.Exit(int(code) & 0xff)
}
