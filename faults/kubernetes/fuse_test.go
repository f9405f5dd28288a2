package kubernetes

import (
	"strings"
	"testing"
)

// A person must read before the start what ends a hit when nobody is left to.
func TestAPlanSaysWhatEndsEachHit(t *testing.T) {
	t.Parallel()
	c, namespace, node := rightsWorld(t)
	k := c.Connection(t)
	const stays, cluster = "watchdog process on the runner's machine; if that is gone too it stays, until: gameday recover --cluster", "the cluster deletes both 1m after the last word of the runner"
	want := map[string]string{
		"pod_kill": "", "pod_kill by a pattern": "", "pod_evict": "", "rollout_restart": "",
		"pod_failure": stays, "deployment_scale": stays, "node_cordon": stays, "node_drain": stays, "node_taint": stays,
		"network_partition": cluster, "resource_quota": cluster,
	}
	for kind, aim := range rightful(namespace, node) {
		fuse, known := want[kind]
		if !known {
			t.Errorf("this test does not know %s", kind)
		}
		for _, hit := range planFor(t, aim(k)) {
			if hit.Fuse != fuse && (fuse == "" || !strings.Contains(hit.Fuse, fuse)) {
				t.Errorf("%s: its fuse is %q, want %q", kind, hit.Fuse, fuse)
			}
		}
	}
}
