variable "token" {
  default   = "planted-secret-1"
  sensitive = true
}

locals {
  address = "http://${env("GAMEDAY_TEST_SECRET")}@127.0.0.1/"
}

probe "http" "door" {
  url     = local.address
  headers = { Authorization = "Bearer ${var.token}" }
}

prometheus {
  url    = var.token
  labels = { token = var.token }
}

scenario "s" {
  description = parseint(env("GAMEDAY_TEST_SECRET"), 10)

  hypothesis "it answers" { probe = probe.door }
}
