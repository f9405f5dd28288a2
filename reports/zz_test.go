package reports

import ("testing";"os")

func TestZZ(t *testing.T) { for n, r := range all() { os.WriteFile("/tmp/rep-"+n+".html", render(t,"html",r), 0o644) } }
