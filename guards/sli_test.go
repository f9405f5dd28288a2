package guards

import (
	"context"
	"time"

	"github.com/gameday-sh/gameday/experiments"
)

// scraped is an SLI whose shortest window is given; guards never count with it.
type scraped time.Duration

func (s scraped) Count(_ context.Context, at time.Time, window time.Duration) experiments.Count {
	return experiments.Count{At: at, Window: window, Condition: experiments.NoData}
}

func (s scraped) Shortest() time.Duration { return time.Duration(s) }
