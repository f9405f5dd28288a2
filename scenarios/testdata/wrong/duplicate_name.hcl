locals { a = 1 }

locals { a = 2 }

prometheus {}

prometheus {}

probe "http" "door" {
  url = "http://127.0.0.1/"
}

probe "gauge" "door" {
  name = "queue"
}

scenario "s" {
  hypothesis "it answers" { probe = probe.door }
  hypothesis "it answers" { probe = probe.door }

  fault "pod_kill" "kill" { selector = local.a }
  fault "pod_kill" "kill" { selector = "b" }
}

scenario "s" {
  hypothesis "it answers" { probe = probe.door }
}
