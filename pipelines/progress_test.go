package pipelines

import (
	"math/rand/v2"
	"slices"
	"testing"
)

func TestProgressMarksOnlyWhatIsDoneWithoutGaps(t *testing.T) {
	var marks []int64
	p := newProgress(func(next int64) { marks = append(marks, next) })
	p.skip(9) // dropped before anything is pending
	a, b, c := &ticket{1}, &ticket{2}, &ticket{3}
	for offset, tk := range map[int64]*ticket{10: a} {
		if !p.note(tk, offset) {
			t.Error("the first record of a request is not new")
		}
	}
	if p.note(a, 11) {
		t.Error("the second record of a request is new")
	}
	p.note(b, 12)
	p.skip(13)
	p.note(c, 20) // offsets have gaps: transaction markers, compaction
	p.settle(b)
	p.settle(c)
	if !slices.Equal(marks, []int64{10}) {
		t.Errorf("marked past what is pending: %v", marks)
	}
	select {
	case <-p.drained():
		t.Error("drained while a request is pending")
	default:
	}
	drained := p.drained()
	p.settle(a)
	if !slices.Equal(marks, []int64{10, 21}) {
		t.Errorf("marks %v", marks)
	}
	<-drained
	<-p.drained()
	p.note(&ticket{4}, 21)
	p.close()
	p.settle(&ticket{5})
	p.skip(22)
	if !slices.Equal(marks, []int64{10, 21}) {
		t.Errorf("marked after close: %v", marks)
	}
}

// TestProgressNeverPassesAPendingRecord settles requests in random order and
// compares with a plain model.
func TestProgressNeverPassesAPendingRecord(t *testing.T) {
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 1))
	for range 300 {
		marked := int64(0)
		p := newProgress(func(next int64) {
			if next <= marked {
				t.Fatalf("seed %d: mark went from %d to %d", seed, marked, next)
			}
			marked = next
		})
		pending := map[*ticket][]int64{}
		var open []*ticket
		done := map[int64]bool{}
		current := &ticket{}
		for offset := range int64(60) {
			switch r.IntN(4) {
			case 0:
				p.skip(offset)
				done[offset] = true
			default:
				p.note(current, offset)
				if pending[current] == nil {
					open = append(open, current)
				}
				pending[current] = append(pending[current], offset)
			}
			if r.IntN(3) == 0 {
				current = &ticket{}
			}
			if r.IntN(3) == 0 && len(open) > 0 {
				i := r.IntN(len(open))
				if open[i] != current {
					for _, o := range pending[open[i]] {
						done[o] = true
					}
					p.settle(open[i])
					open = slices.Delete(open, i, i+1)
				}
			}
			for o := range marked {
				if !done[o] {
					t.Fatalf("seed %d: %d is marked and record %d is not done", seed, marked, o)
				}
			}
		}
		for _, tk := range open {
			p.settle(tk)
		}
		if marked != 60 {
			t.Fatalf("seed %d: all is done and %d is marked", seed, marked)
		}
	}
}
