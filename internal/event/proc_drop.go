package event

type dropProcessor struct{}

func newDrop(*settings) processor { return dropProcessor{} }

func (dropProcessor) process(*Event) bool { return true }
