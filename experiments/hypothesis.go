package experiments

import "time"

// A Hypothesis is a statement about an SLI that should hold before, during and
// after the faults.
type Hypothesis struct {
	Name string
	// Exactly one of SLO and Probe is set.
	SLO   *SLO
	Probe *Probed
	// Rate, if set, reads the events a second of which Probe reads the share that is
	// bad: a ratio is then judged by the events of both.
	Rate  *Probed
	Limit Limit
	// During is false for a statement that may break while faults are on.
	During bool
	// RecoverWithin is how long after the last revert it may take to hold again, and
	// Hold for how long it must then hold.
	RecoverWithin time.Duration
	Hold          time.Duration
	// Confidence of the exact binomial bound that ratios are judged by: 0.95.
	Confidence Percent
	// MinSamples is the least number of samples for a judgement on values.
	MinSamples int
	Origin     string
	// kept says of what a least value is a share.
	kept string
}

// LimitKind tells what of a series a limit is for.
type LimitKind string

// The kinds of limits. The names are those of the attributes in a scenario.
const (
	// EverySample: each measurement must be good.
	EverySample LimitKind = "every_sample"
	// GoodRatio: at least Ratio of the counted events are good.
	GoodRatio LimitKind = "at_least"
	// QuantileAtMost: the Quantile of the latency is at most Value seconds.
	QuantileAtMost LimitKind = "quantile_at_most"
	// ValueAtMost and ValueAtLeast: each value is within Value.
	ValueAtMost  LimitKind = "value_at_most"
	ValueAtLeast LimitKind = "value_at_least"
	// ValueKeeps: each value is at least Ratio of the mean of the baseline.
	ValueKeeps LimitKind = "value_keeps"
)

// Limit is what a hypothesis asks of its series.
type Limit struct {
	Kind     LimitKind
	Ratio    Percent
	Quantile float64 // 0.95
	Value    float64 // seconds for QuantileAtMost, the probe's own unit for values
}

// Judgement is what a hypothesis came to on the samples of one stretch of time.
type Judgement struct {
	Phase   Phase     `json:"phase"`
	From    time.Time `json:"from"`
	To      time.Time `json:"to"`
	Verdict Verdict   `json:"verdict"` // held, refuted or inconclusive
	// Observed and Limit are in Unit: "ratio" (of good events), "s", or the probe's own.
	Observed Float   `json:"observed"`
	Limit    Float   `json:"limit"`
	Unit     string  `json:"unit,omitempty"`
	Bad      float64 `json:"bad"`
	Total    float64 `json:"total"` // events counted, or samples taken
	// Low and High bound the true ratio at the hypothesis's confidence.
	Low  Float `json:"low"`
	High Float `json:"high"`
	// Needs is how many more events or samples would decide it, if they are good.
	Needs float64 `json:"needs,omitempty"`
	// Text says all that in a sentence.
	Text string `json:"text"`
}
