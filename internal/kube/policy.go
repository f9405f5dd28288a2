package kube

import (
	"fmt"
	"strings"
)

// Policy is a ValidatingAdmissionPolicy that holds an account to namespaces which
// opted in, whatever its rights are. What undoes a change is let through everywhere:
// a namespace that opts out while a fault is on must still be mended.
type Policy struct {
	// OptIn is the label that a namespace must bear, key=value.
	OptIn string
	// Protect are namespaces that are never touched, label or not.
	Protect []string
	// Nodes allows changes to nodes, which live in no namespace.
	Nodes bool
	// NodeLeases is the namespace of the leases of nodes, and the start of their names.
	NodeLeases, NodeLeasePrefix string
	// Label and Annotation are on what a run changed or made.
	Label, Annotation string
}

func (p *Policy) write(out *manifest, r *Roles) {
	key, value, _ := strings.Cut(p.OptIn, "=")
	out.document("admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicy", r.Name, "")
	out.line("spec:")
	out.line("  failurePolicy: Fail")
	out.line("  matchConstraints:")
	out.line("    resourceRules:")
	out.line("      - apiGroups: [\"*\"]")
	out.line("        apiVersions: [\"*\"]")
	out.line("        operations: [\"CREATE\", \"UPDATE\", \"DELETE\", \"CONNECT\"]")
	out.line("        resources: [\"*/*\"]")
	out.line("  matchConditions:")
	out.line("    - name: only-this-account")
	out.line("      expression: %s", yamlText(fmt.Sprintf("request.userInfo.username == '%s'", celText("system:serviceaccount:"+r.AccountNamespace+":"+r.Account))))
	out.line("    # Asking which rights one has changes nothing.")
	out.line("    - name: no-question")
	out.line("      expression: \"request.resource.group != 'authorization.k8s.io'\"")
	out.line("  variables:")
	out.line("    - name: optedIn")
	protected := make([]string, len(p.Protect))
	for i, name := range p.Protect {
		protected[i] = "'" + celText(name) + "'"
	}
	out.line("      expression: %s", yamlText(fmt.Sprintf(
		"namespaceObject != null && !(request.namespace in [%s]) && has(namespaceObject.metadata.labels) && '%[2]s' in namespaceObject.metadata.labels && namespaceObject.metadata.labels['%[2]s'] == '%[3]s'",
		strings.Join(protected, ", "), celText(key), celText(value))))
	out.line("    # What a run marked was its own doing: it may take it back wherever it is.")
	out.line("    - name: takesBack")
	out.line("      expression: %s", yamlText(fmt.Sprintf(
		"request.operation == 'DELETE' && oldObject != null && has(oldObject.metadata.labels) && '%[1]s' in oldObject.metadata.labels || "+
			"request.operation == 'UPDATE' && oldObject != null && has(oldObject.metadata.annotations) && '%[2]s' in oldObject.metadata.annotations && (!has(object.metadata.annotations) || !('%[2]s' in object.metadata.annotations))",
		celText(p.Label), celText(p.Annotation))))
	either := []string{"variables.optedIn", "variables.takesBack"}
	if p.Nodes {
		out.line("    # These scenarios change nodes, which live in no namespace.")
		out.line("    - name: node")
		out.line("      expression: \"request.resource.group == '' && request.resource.resource == 'nodes' && request.operation == 'UPDATE'\"")
		out.line("    - name: nodeLease")
		out.line("      expression: %s", yamlText(fmt.Sprintf(
			"request.resource.resource == 'leases' && request.namespace == '%s' && (request.operation == 'DELETE' ? oldObject.metadata.name : object.metadata.name).startsWith('%s')",
			celText(p.NodeLeases), celText(p.NodeLeasePrefix))))
		either = append(either, "variables.node", "variables.nodeLease")
	}
	out.line("  validations:")
	out.line("    - expression: %s", yamlText(strings.Join(either, " || ")))
	out.line("      message: %s", yamlText(fmt.Sprintf("the namespace does not bear the label %s, so %s may change nothing in it", p.OptIn, r.Account)))
	out.document("admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicyBinding", r.Name, "")
	out.line("spec:")
	out.line("  policyName: %s", r.Name)
	out.line("  validationActions: [\"Deny\"]")
}

// celText makes a text safe within single quotes of a CEL expression.
func celText(text string) string {
	return strings.NewReplacer(`\`, `\\`, `'`, `\'`, "\n", `\n`).Replace(text)
}

// yamlText makes a text a double-quoted YAML scalar.
func yamlText(text string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(text) + `"`
}
