senario "s" {}

fault "pod_kill" "f" {}

outer "x" {}
