package core

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"
)

// refusal is an error that a client is told, with Kafka's words.
type refusal struct {
	code    int16
	message string
}

func refuse(err *kerr.Error, format string, args ...any) *refusal {
	return &refusal{code: err.Code, message: fmt.Sprintf(format, args...)}
}

// codeOf is the error code of a refusal, 0 for nil.
func (r *refusal) errorCode() int16 {
	if r == nil {
		return 0
	}
	return r.code
}
