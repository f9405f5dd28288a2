probe "http" "door" {
  url = "http://127.0.0.1/"
}

scenario "s" {
  hypothesis "it answers" { probe = probe.door }

  fault "pod_kill" "kill" {
    selector = "app=checkout"
    after    = fault.kill
  }
  fault "pod_kill" "chicken" {
    selector = "app=checkout"
    after    = fault.egg
  }
  fault "pod_kill" "egg" {
    selector = "app=checkout"
    after    = fault.chicken
  }
}
