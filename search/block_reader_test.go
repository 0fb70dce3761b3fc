package search

import (
	"bytes"
	"testing"
)

func TestLowerASCII(t *testing.T) {
	src := make([]byte, 0, 512)
	for i := range 256 {
		src = append(src, byte(i), 'Q')
	}
	for from := range 9 {
		for _, length := range []int{0, 1, 7, 8, 9, 300} {
			in := src[from : from+length]
			want := bytes.Clone(in)
			ascii := true
			for i, c := range want {
				if 'A' <= c && c <= 'Z' {
					want[i] = c + 32
				}
				ascii = ascii && c < 0x80
			}
			got := make([]byte, length)
			if gotASCII := lowerASCII(got, in); !bytes.Equal(got, want) || gotASCII != ascii {
				t.Fatalf("lower case of %x is %x, want %x (ASCII %v, want %v)", in, got, want, gotASCII, ascii)
			}
		}
	}
}
