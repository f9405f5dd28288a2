// Package rules makes Prometheus rules of SLOs: records of what they count, and alerts
// on how fast their error budgets burn. It is pure: the same SLOs give the same text.
//
// [Alerts] says which burn rates are watched over which windows, for any SLO. [Generate]
// writes them down as rule groups, and [Tests] as a test of those for promtool.
//
// The alerts are the multi-window, multi-burn-rate ones of the SRE workbook, chapter
// "Alerting on SLOs": a share q of the budget of a period W that is spent within L is a
// burn rate of q*W/L. The short window, L/12, lets an alert end soon after the harm has.
package rules
