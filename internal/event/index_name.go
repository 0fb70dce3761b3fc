package event

import "time"

// The days around a record's timestamp within which an event's own day names
// its index.
const (
	indexDaysBefore = 30
	indexDaysAfter  = 1
)

const oneDay = 24 * time.Hour

// IndexName returns the index that the event belongs to: prefix, a dash, and
// the event's day in UTC as 2006.01.02 if that lies between 30 days before and
// 1 day after the record's timestamp, "older" otherwise. It depends on the
// record and the processors only, so that a record that is read again goes to
// the same index, where its _id is known. A record without a timestamp belongs to
// "older".
func (e *Event) IndexName(prefix string) string {
	day := e.Timestamp.UTC().Truncate(oneDay)
	read := e.RecordTime.UTC().Truncate(oneDay)
	if e.RecordTime.IsZero() || day.Before(read.AddDate(0, 0, -indexDaysBefore)) || day.After(read.AddDate(0, 0, indexDaysAfter)) {
		return prefix + "-older"
	}
	return prefix + "-" + day.Format("2006.01.02")
}
