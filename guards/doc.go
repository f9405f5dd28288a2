// Package guards holds the kinds of guards: what decides, from samples alone, that
// an experiment must stop now. [Kinds] lists them; each has a file of its name.
//
// A guard is a pure function of [experiments.History]: it reads no clock, keeps
// nothing between two looks and does no I/O. The runner asks every guard after
// every measurement, and the first reading that is breached stops the run. A guard
// that has nothing to judge by says so (Blind); no_data decides for how long that is
// borne, and a guard that could never see again is breached at once.
//
// With an objective o over a window W, b = 1-o is the share of events that may fail,
// the error budget. Of N events in W, b*N may fail; of those counted in a stretch,
//
//	burn rate = (bad/total) / b                   burn_rate
//	spent     = bad / (b * events a second * W)   budget
//	W         = sum_k w_k prod_i (1 + l_k (r_i - theta))   evidence
//
// A burn rate r kept up for a time w spends r*w/W of the budget, and spends all of it
// in W/r. The ratio bad/total is at most 1, so the burn rate is at most 1/b: a
// factor above that never fires. The formulas and the use of a long and a short
// window together are those of "Alerting on SLOs" in The Site Reliability Workbook
// (Google, 2018); the evidence guard names its own sources.
package guards
