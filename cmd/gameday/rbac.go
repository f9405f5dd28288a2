package main

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gameday-sh/gameday/experiments"
	"github.com/gameday-sh/gameday/faults/kubernetes"
	"github.com/gameday-sh/gameday/internal/kube"
	"github.com/gameday-sh/gameday/scenarios"
)

// needy is a fault or a probe that needs rights on a cluster.
type needy interface{ Rights() []kube.Right }

// wishful is one that needs some rights less than others: it does without.
type wishful interface{ Wishes() []kube.Right }

// located is one that tells on which cluster.
type located interface{ Cluster() *kube.Kubernetes }

func newRBACCommand(global *globalFlags) *cobra.Command {
	var v variables
	var only []string
	var policy, optional, mending bool
	var context string
	roles := &kube.Roles{}
	cmd := &cobra.Command{
		Use:   "rbac PATH...",
		Short: "Print the least Kubernetes rights that scenarios need",
		Long: `rbac prints, as YAML for kubectl, a ServiceAccount and the least roles with
which the scenarios of each PATH run on Kubernetes: what their faults need to break
and to mend, and their probes to look. Nothing is contacted. Each rule says what it
is for.

With --optional it adds, marked as such, what following the pods that are hit is
better with: to watch pods rather than list them, and to read events. Nothing asks
for these.

With --recover it adds what "gameday recover --cluster" needs to find what these
scenarios may leave on the cluster, for an account that looks after it from any
machine; what it takes to mend is in the roles anyway.

With --admission-policy it adds a ValidatingAdmissionPolicy that holds the account
to namespaces that opted in by a label, whatever rights it has or gets.

It exits with 0, and with 2 if a scenario is wrong.`,
		Example: "  gameday rbac shop.hcl | kubectl apply -f -\n  gameday rbac --admission-policy --namespace chaos scenarios/ > roles.yaml",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, paths []string) error {
			if err := roles.Check(); err != nil {
				return &exitError{experiments.Invalid.ExitCode(), err}
			}
			configurations, diagnostics, err := loadAll(paths, &v)
			if err != nil {
				return &exitError{experiments.Errored.ExitCode(), err}
			}
			if err := global.showDiagnostics(cmd.ErrOrStderr(), diagnostics); err != nil {
				return err
			}
			if err := checkSelection(configurations, only); err != nil {
				return &exitError{experiments.Invalid.ExitCode(), err}
			}
			needs, err := gather(configurations, only, context, optional)
			if err != nil {
				return &exitError{experiments.Invalid.ExitCode(), err}
			}
			if mending {
				needs.recovery()
			}
			roles.Needs = needs.list
			roles.Header = needs.header(roles)
			if policy {
				roles.Policy = kubernetes.Policy(needs.label(), needs.nodes())
			}
			return roles.WriteYAML(cmd.OutOrStdout())
		},
	}
	v.flags(cmd)
	cmd.Flags().StringArrayVar(&only, "scenario", nil, "only the scenario of this name (repeatable)")
	cmd.Flags().StringVar(&roles.Account, "service-account", "gameday", "name of the ServiceAccount")
	cmd.Flags().StringVar(&roles.AccountNamespace, "namespace", "gameday", "namespace of the ServiceAccount")
	cmd.Flags().StringVar(&roles.Name, "name", "gameday", "name of the roles and of what binds them")
	cmd.Flags().StringVar(&context, "context", "", "where scenarios use several clusters: only what is needed on that of this context")
	cmd.Flags().BoolVar(&optional, "optional", false, "add the rights that are good to have and can be left out")
	cmd.Flags().BoolVar(&mending, "recover", false, "add what \"gameday recover --cluster\" needs")
	cmd.Flags().BoolVar(&policy, "admission-policy", false, "add a policy that holds the account to namespaces that opted in")
	return cmd
}

// gathered is what scenarios need on one cluster.
type gathered struct {
	list      []kube.Need
	scenarios []string
	cluster   *kube.Kubernetes
	patterns  []string // who looks for namespaces by a pattern
	recovers  []string // the commands that mend what the faults may leave
	optional  bool     // rights that can be left out too
}

// gather collects what the scenarios need. Several clusters are an error, unless a
// context says which is meant.
func gather(configurations []*scenarios.Configuration, only []string, context string, optional bool) (*gathered, error) {
	g := &gathered{optional: optional}
	var problems []error
	for _, configuration := range configurations {
		draft := configuration.Draft()
		for _, e := range draft.Experiments {
			if len(only) > 0 && !slices.Contains(only, e.Name) {
				continue
			}
			before := len(g.list)
			for _, plan := range e.Faults {
				by := fmt.Sprintf("fault %s (%s)", plan.Name, plan.Origin)
				problems = append(problems, g.add(plan.Fault, by, draft.Unsettled[plan.Origin], context))
			}
			for _, probed := range e.Probes {
				by := fmt.Sprintf("probe %s (%s)", probed.Name, probed.Origin)
				problems = append(problems, g.add(probed.Probe, by, draft.Unsettled[probed.Origin], context))
			}
			if len(g.list) > before {
				g.scenarios = append(g.scenarios, fmt.Sprintf("%s (%s)", e.Name, e.Origin))
			}
		}
	}
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	if len(g.list) == 0 {
		return nil, errors.New("no fault or probe of these scenarios needs anything of Kubernetes")
	}
	return g, nil
}

func (g *gathered) add(value any, by string, unsettled []string, context string) error {
	who, needs := value.(needy)
	if !needs {
		return nil
	}
	if len(unsettled) > 0 {
		return fmt.Errorf("%s: what it needs depends on %s, which is known only when a connection is open; give it a value of its own, such as a variable", by, strings.Join(unsettled, ", "))
	}
	if at, tells := value.(located); tells && at.Cluster() != nil {
		cluster := at.Cluster()
		if context != "" && cluster.Context != context {
			return nil
		}
		if g.cluster != nil && (g.cluster.Kubeconfig != cluster.Kubeconfig || g.cluster.Context != cluster.Context) {
			return fmt.Errorf("%s is on another cluster than the others: say with --context whose rights to print, and print each cluster's by itself", by)
		}
		if g.cluster != nil && g.cluster.OptIn != cluster.OptIn {
			return fmt.Errorf("%s is reached by a connection whose opt_in differs from the others'", by)
		}
		g.cluster = cluster
	}
	wide := false
	for _, right := range who.Rights() {
		g.list = append(g.list, kube.Need{Right: right, By: by})
		wide = wide || right.Namespace == "" && !right.Resource.Cluster
	}
	if wisher, wishes := value.(wishful); wishes && g.optional {
		for _, right := range wisher.Wishes() {
			g.list = append(g.list, kube.Need{Right: right, By: by, Optional: true})
		}
	}
	if wide {
		g.patterns = append(g.patterns, by)
	}
	return nil
}

// recovery adds what it takes to find what the faults may leave: in the namespaces that
// they are in, or in the whole cluster where one is not held to a namespace.
func (g *gathered) recovery() {
	namespaces := map[string]bool{}
	for _, need := range g.list {
		if kubernetes.MayLeave(need.Right) {
			namespaces[need.Namespace] = true
		}
	}
	if namespaces[""] {
		namespaces = map[string]bool{"": true}
	}
	for _, namespace := range slices.Sorted(maps.Keys(namespaces)) {
		typed := "gameday recover --cluster"
		if namespace != "" {
			typed += " --namespace " + namespace
		}
		g.recovers = append(g.recovers, typed)
		for _, right := range kubernetes.RecoverRights(namespace) {
			g.list = append(g.list, kube.Need{Right: right, By: typed})
		}
	}
}

// label is what a namespace opts in with.
func (g *gathered) label() string {
	if g.cluster != nil && g.cluster.OptIn != "" {
		return g.cluster.OptIn
	}
	return kubernetes.DefaultOptIn
}

// nodes tells whether a fault changes nodes.
func (g *gathered) nodes() bool {
	return slices.ContainsFunc(g.list, func(n kube.Need) bool { return n.Resource == kube.Nodes && n.Verb == "patch" })
}

func (g *gathered) header(r *kube.Roles) []string {
	list := []string{
		"The least rights with which gameday runs these scenarios:",
		"  " + strings.Join(g.scenarios, ", "),
		fmt.Sprintf("The namespace %s must exist. Apply with: kubectl apply -f FILE", r.AccountNamespace),
	}
	if len(g.recovers) > 0 {
		list = append(list, "They are enough, too, for: "+strings.Join(g.recovers, ", "))
	}
	if g.cluster != nil && g.cluster.Context != "" {
		list = append(list, fmt.Sprintf("They are for the cluster of context %q.", g.cluster.Context))
	}
	if len(g.patterns) > 0 {
		list = append(list, "", "Rights in EVERY namespace are needed by: "+strings.Join(g.patterns, ", ")+".",
			"A role cannot be granted for a pattern of namespaces, and a drain evicts pods wherever",
			"they belong. Name the namespaces to do with less; --admission-policy holds the account",
			"to namespaces that opted in all the same.")
	}
	for i := range list {
		list[i] = strings.Join(strings.FieldsFunc(list[i], func(r rune) bool { return r == '\n' || r == '\r' }), " ")
	}
	return list
}
