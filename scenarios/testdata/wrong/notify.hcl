notify "webhok" "typo" {
  url = "http://127.0.0.1/"
}

notify "webhook" "team" {
  url     = "planted-secret-1"
  on      = ["begins", "abort"]
  timeout = "2m"
}

notify "webhook" "team" {
  url          = "http://127.0.0.1/"
  retry_within = "1h"
  channel      = "#all"
}

notify "webhook" "nowhere" {}

notify "webhook" "measured" {
  url = probe.door
}

notify "webhook" "address" {
  url = env("GAMEDAY_TEST_SECRET")
}

probe "http" "door" {
  url = "http://127.0.0.1/"
}

scenario "s" {
  notify = [notify.taem, probe.door]

  hypothesis "it answers" { probe = probe.door }
}

scenario "t" {
  notify = notify.team

  hypothesis "it answers" { probe = notify.team }
}
