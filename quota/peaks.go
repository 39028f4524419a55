package quota

import (
	"strconv"
	"time"
)

// peaks are the most that was used of each bucket in each of the last 24 hours: by
// "<bucket> <hour of the day>".
type peaks map[string]peak

type peak struct {
	hour int64 // since 1970
	most float64
}

func (p peaks) note(now time.Time, bucket string, used float64) {
	hour := now.Unix() / 3600
	field := peakField(bucket, hour)
	if is := p[field]; is.hour != hour || used > is.most {
		p[field] = peak{hour, used}
	}
}

// most is the highest of the last 24 hours, the present one and the 23 before it.
func (p peaks) most(now time.Time, bucket string) (most float64) {
	this := now.Unix() / 3600
	for hour := this - 23; hour <= this; hour++ {
		if is := p[peakField(bucket, hour)]; is.hour == hour {
			most = max(most, is.most)
		}
	}
	return most
}

// old reports whether nothing was noted in the last 24 hours.
func (p peaks) old(now time.Time) bool {
	for _, is := range p {
		if is.hour > now.Unix()/3600-24 {
			return false
		}
	}
	return true
}

func peakField(bucket string, hour int64) string {
	return bucket + " " + strconv.FormatInt(hour%24, 10)
}
