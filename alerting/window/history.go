package window

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
)

// ID identifies an alert.
type ID [16]byte

// NewID derives the id of the alert of a key whose first event is firstEventID.
func NewID(key, firstEventID string) ID {
	h := sha256.New()
	h.Write([]byte(key))
	h.Write([]byte{0})
	h.Write([]byte(firstEventID))
	return ID(h.Sum(nil)[:16])
}

// String writes the id as 32 hexadecimal digits.
func (id ID) String() string { return hex.EncodeToString(id[:]) }

// ParseID reads what String wrote.
func ParseID(s string) (ID, error) {
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != len(ID{}) {
		return ID{}, fmt.Errorf("%q is not an alert id: 32 hexadecimal digits", s)
	}
	return ID(b), nil
}

// remembered is one alert that was raised; key is nil where the alert covers
// no stretch of time.
type remembered struct {
	id    ID
	key   *keyState
	cover Cover
}

// history is the alerts that were raised, oldest first.
type history struct {
	ids map[ID]struct{}
	// alerts from head on are in use.
	alerts []remembered
	head   int
}

func (h *history) has(id ID) bool {
	_, ok := h.ids[id]
	return ok
}

func (h *history) length() int { return len(h.alerts) - h.head }

func (h *history) push(a remembered) {
	h.ids[a.id] = struct{}{}
	h.alerts = append(h.alerts, a)
}

func (h *history) pop() remembered {
	a := h.alerts[h.head]
	h.alerts[h.head] = remembered{}
	h.head++
	delete(h.ids, a.id)
	if h.head > len(h.alerts)/2 {
		h.alerts = append([]remembered(nil), h.alerts[h.head:]...)
		h.head = 0
	}
	return a
}
