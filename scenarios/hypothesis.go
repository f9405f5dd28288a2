package scenarios

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// hypothesisBlock is the attributes of a hypothesis.
type hypothesisBlock struct {
	SLO   *experiments.SLO    `hcl:"slo,optional" doc:"The slo whose events it is about. Either this or probe." example:"slo.checkout"`
	Probe *experiments.Probed `hcl:"probe,optional" doc:"The probe or journey whose measurements it is about. Either this or slo." example:"probe.front_door"`

	AtLeast      *experiments.Percent `hcl:"at_least,optional" doc:"At least this share of the events is good. Left out, with an slo: its objective." example:"99.5%"`
	P50AtMost    *time.Duration       `hcl:"p50_at_most,optional" doc:"Half of the measurements take at most this long." example:"100ms"`
	P90AtMost    *time.Duration       `hcl:"p90_at_most,optional" doc:"90% of the measurements take at most this long." example:"300ms"`
	P95AtMost    *time.Duration       `hcl:"p95_at_most,optional" doc:"95% of the measurements take at most this long." example:"500ms"`
	P99AtMost    *time.Duration       `hcl:"p99_at_most,optional" doc:"99% of the measurements take at most this long." example:"1s"`
	ValueAtMost  *amount              `hcl:"value_at_most,optional" doc:"Each value that the probe reads is at most this." example:"250"`
	ValueAtLeast *amount              `hcl:"value_at_least,optional" doc:"Each value that the probe reads is at least this." example:"3"`
	ValueKeeps   *experiments.Percent `hcl:"value_keeps,optional" doc:"Each value that the probe reads is at least this share of their mean in the baseline." example:"50%"`

	During        bool                `hcl:"during,optional" default:"true" doc:"Whether it must hold while the faults are on; false: only before, and again afterwards."`
	RecoverWithin time.Duration       `hcl:"recover_within,optional" default:"60s" doc:"How long after the last revert it may take to hold again."`
	Hold          time.Duration       `hcl:"hold,optional" default:"3s" doc:"For how long it must then hold."`
	Confidence    experiments.Percent `hcl:"confidence,optional" default:"95%" doc:"How sure a judgement on a share of events must be: the confidence of the exact binomial bound, from 50% to below 100%."`
	MinSamples    *int                `hcl:"min_samples,optional" doc:"The least number of measurements for a judgement. Left out: 1, and for a quantile as many as it takes to see one beyond it (20 for p95)."`
}

// limitOf is one attribute that sets a limit.
type limitOf struct {
	name  string
	limit experiments.Limit
}

// limits lists the limits that were written.
func (h *hypothesisBlock) limits() []limitOf {
	var list []limitOf
	if h.AtLeast != nil {
		list = append(list, limitOf{"at_least", experiments.Limit{Kind: experiments.GoodRatio, Ratio: *h.AtLeast}})
	}
	for _, quantile := range []struct {
		name  string
		most  *time.Duration
		share float64
	}{{"p50_at_most", h.P50AtMost, 0.5}, {"p90_at_most", h.P90AtMost, 0.9}, {"p95_at_most", h.P95AtMost, 0.95}, {"p99_at_most", h.P99AtMost, 0.99}} {
		if quantile.most != nil {
			list = append(list, limitOf{quantile.name, experiments.Limit{Kind: experiments.QuantileAtMost, Quantile: quantile.share, Value: quantile.most.Seconds()}})
		}
	}
	if h.ValueAtMost != nil {
		list = append(list, limitOf{"value_at_most", experiments.Limit{Kind: experiments.ValueAtMost, Value: float64(*h.ValueAtMost)}})
	}
	if h.ValueAtLeast != nil {
		list = append(list, limitOf{"value_at_least", experiments.Limit{Kind: experiments.ValueAtLeast, Value: float64(*h.ValueAtLeast)}})
	}
	if h.ValueKeeps != nil {
		list = append(list, limitOf{"value_keeps", experiments.Limit{Kind: experiments.ValueKeeps, Ratio: *h.ValueKeeps}})
	}
	return list
}

// limitNames are the attributes of which at most one may be written.
var limitNames = []string{"at_least", "p50_at_most", "p90_at_most", "p95_at_most", "p99_at_most", "value_at_most", "value_at_least", "value_keeps"}

func (p *pass) hypothesis(s *assembly, block *hclsyntax.Block) {
	what := fmt.Sprintf("hypothesis %q", block.Labels[0])
	var common hypothesisBlock
	out := p.body(block, what, s.faults, nil, &common)
	h := &experiments.Hypothesis{
		Name:          block.Labels[0],
		SLO:           common.SLO,
		Probe:         common.Probe,
		During:        common.During,
		RecoverWithin: common.RecoverWithin,
		Hold:          common.Hold,
		Confidence:    common.Confidence,
		Origin:        p.c.origin(header(block)),
	}
	s.experiment.Hypotheses = append(s.experiment.Hypotheses, h)
	s.uses(h.Probe, h.SLO)
	switch {
	case out.has("slo") && out.has("probe"):
		p.errorf(out.at("probe", block), "Two things to judge", "A hypothesis is about an slo or a probe. Make two hypotheses of it.")
	case !out.has("slo") && !out.has("probe"):
		p.errorf(header(block), "Nothing to judge", "A hypothesis is about an slo or a probe: add slo = slo.name or probe = probe.name.")
	}
	p.limit(h, block, &common, out)
	p.toldLimit(h, block, out)
	p.judging(h, block, &common, out)
}

// limit finds the one limit of a hypothesis.
func (p *pass) limit(h *experiments.Hypothesis, block *hclsyntax.Block, common *hypothesisBlock, out *outcome) {
	var written []string
	for _, name := range limitNames {
		if out.has(name) {
			written = append(written, name)
		}
	}
	limits := common.limits()
	switch {
	case len(written) > 1:
		p.errorf(out.at(written[1], block), "Two limits in one hypothesis", "A hypothesis has one limit, and this one has %s. Make a hypothesis of each, so that each gets its own verdict.", strings.Join(written, " and "))
		return
	case len(limits) == 1:
		h.Limit = limits[0].limit
		p.limitFits(limits[0], block, out)
	case len(written) == 1: // wrong, and reported
	case h.SLO != nil:
		h.Limit = experiments.Limit{Kind: experiments.GoodRatio, Ratio: h.SLO.Objective}
	default:
		h.Limit = experiments.Limit{Kind: experiments.EverySample}
	}
}

// toldLimit checks that the probe tells what the limit is about: of what never comes
// nothing could ever be shown.
func (p *pass) toldLimit(h *experiments.Hypothesis, block *hclsyntax.Block, out *outcome) {
	told := p.tells(h.Probe)
	at := out.at("probe", block)
	switch h.Limit.Kind {
	case experiments.EverySample, experiments.GoodRatio, experiments.QuantileAtMost:
		switch {
		case told.Events:
		case h.Probe.Kind == goldenRoot:
			p.errorf(header(block), "Limit on values needed", "A golden signal is a value, neither good nor bad, and how long it takes to ask for it tells nothing. Write value_at_most, value_at_least or value_keeps; or watch = [%s.name] in the scenario, and the targets there.", goldenRoot)
		default:
			p.errorf(at, "Limit on values needed", "%s reads a number, which is neither good nor bad, and how long it takes to ask for it tells nothing. Write value_at_most, value_at_least or value_keeps.", h.Probe.SeriesName())
		}
	case experiments.ValueAtMost, experiments.ValueAtLeast, experiments.ValueKeeps:
		if told.Values {
			return
		}
		instead := "Write at_least, or a limit of its latency such as p95_at_most"
		if told.Number != "" {
			instead += "; or " + told.Number
		}
		p.errorf(at, "No value to judge", "%s reads no number, as it is written, so %s cannot be asked of it. %s.", h.Probe.SeriesName(), h.Limit.Kind, instead)
	}
}

// tells is what a probe may carry, as far as that is known.
func (p *pass) tells(probed *experiments.Probed) experiments.Told {
	switch {
	case probed == nil:
	case probed.Kind == goldenRoot:
		return experiments.Told{Values: true}
	case len(p.unsettled[probed.Origin]) == 0:
		if probe, ok := probed.Probe.(experiments.Telling); ok {
			return probe.Tells()
		}
	}
	return experiments.Told{Events: true, Values: true}
}

// limitFits checks that a limit can be asked of the series, and can fail.
func (p *pass) limitFits(l limitOf, block *hclsyntax.Block, out *outcome) {
	at := out.at(l.name, block)
	switch {
	case l.limit.Kind == experiments.GoodRatio && l.limit.Ratio >= 1:
		hint := "leave at_least out: then every measurement of the probe must be good"
		if out.has("slo") {
			hint = "leave at_least out: then the objective of the slo counts"
		}
		p.errorf(at, "Limit of 100%", "No number of events can show that 100%% are good. Write a lower share, or %s.", hint)
	case l.limit.Kind == experiments.GoodRatio && l.limit.Ratio <= 0:
		p.errorf(at, "Limit of 0%", "At least 0%% are always good, so this could never fail. Write, for example, \"99.5%%\".")
	case l.limit.Kind != experiments.GoodRatio && out.has("slo"):
		p.errorf(at, "Limit that needs a probe", "An slo counts events and has no single values, so %s cannot be asked of it. Use a probe, or at_least.", l.name)
	case l.limit.Kind == experiments.ValueKeeps && (l.limit.Ratio <= 0 || l.limit.Ratio >= 1):
		p.errorf(at, "Share out of range", "A share of the baseline's mean is above 0%%, and below 100%%, since not every value is at its mean or above. Write, for example, \"50%%\".")
	case l.limit.Kind == experiments.QuantileAtMost && l.limit.Value <= 0:
		p.errorf(at, "Limit of zero", "Nothing takes no time at all. Write, for example, \"500ms\".")
	}
}

// judging checks the attributes that say how a hypothesis is judged.
func (p *pass) judging(h *experiments.Hypothesis, block *hclsyntax.Block, common *hypothesisBlock, out *outcome) {
	h.MinSamples = 1
	if h.Limit.Kind == experiments.QuantileAtMost {
		// 1-0.95 is 0.050000000000000044, of which the inverse is a little below 20.
		h.MinSamples = int(math.Ceil(math.Round(1e9/(1-h.Limit.Quantile)) / 1e9))
	}
	if common.MinSamples != nil {
		h.MinSamples = *common.MinSamples
		if h.MinSamples < 1 {
			p.errorf(out.at("min_samples", block), "Too few samples", "A judgement needs at least 1 sample: silence never holds.")
		}
	}
	if at, given := out.given["confidence"]; given && (h.Confidence < 0.5 || h.Confidence >= 1) {
		p.errorf(at, "Confidence out of range", "A confidence is from 50%% to below 100%%: write, for example, \"95%%\".")
	}
	if at, given := out.given["recover_within"]; given && h.RecoverWithin <= 0 {
		p.errorf(at, "Duration of zero", "Recovery is measured, and needs some time for that: write, for example, \"30s\".")
	}
	if !out.failed["hold"] && !out.failed["recover_within"] && h.RecoverWithin > 0 && h.Hold > h.RecoverWithin {
		p.errorf(out.at("hold", block), "Hold longer than the recovery", "It must hold for %s, and recover_within allows %s altogether. Write a shorter hold, or a longer recover_within.", experiments.FormatDuration(h.Hold), experiments.FormatDuration(h.RecoverWithin))
	}
}
