error_budget_policy "standard" {
  band "red" {}
}

probe "http" "door" {
  url = "http://127.0.0.1/"
}

scenario "s" {
  policy = error_budget_policy.standard
  hypothesis "it answers" { probe = probe.door }
}
