# Who is told of a run, and of what.
#
#   gameday run notify --scenario told --var webhook_url=http://127.0.0.1:8099/hook
#
# The first scenario tells one webhook, and listens for Prometheus. The second tells
# everybody: give it the addresses and the secrets of your own receivers. What cannot be
# told changes no verdict; it is named at the end and in the report.
#
# Verdict: held

variable "webhook_url" {
  description = "Where the webhook goes. Addresses like this often hold a token."
  default     = "http://127.0.0.1:8099/hook"
  sensitive   = true
}

variable "slack_webhook" {
  default   = "http://127.0.0.1:8099/slack"
  sensitive = true
}

variable "pagerduty_key" {
  default   = "00000000000000000000000000000000"
  sensitive = true
}

variable "grafana_token" {
  default   = "no token"
  sensitive = true
}

# Where the other receivers are.
variable "receivers" { default = "http://127.0.0.1:8099" }
variable "alertmanager_url" { default = "http://127.0.0.1:9093" }
variable "pushgateway_url" { default = "http://127.0.0.1:9091" }
variable "mail_server" { default = "127.0.0.1:2525" }
variable "metrics_listen" { default = "127.0.0.1:9646" }

notify "webhook" "hook" {
  url  = var.webhook_url
  on   = ["begin", "inject", "mended", "end"]
  body = "{\"text\": {{ json .Text }}, \"verdict\": {{ json .Verdict }}}"
}

notify "slack" "team" {
  url = var.slack_webhook
  on  = ["begin", "abort", "refuted", "not restored"]
}

notify "pagerduty" "on-call" {
  routing_key = var.pagerduty_key
  url         = "${var.receivers}/v2/enqueue"
}

notify "alertmanager" "alerts" {
  url    = var.alertmanager_url
  labels = { team = "checkout" }
}

notify "smtp" "mail" {
  server     = var.mail_server
  from       = "Game days <gameday@example.org>"
  to         = ["team@example.org"]
  encryption = "none"
}

notify "grafana" "dashboards" {
  url   = var.receivers
  token = var.grafana_token
}

notify "metrics" "prometheus" {
  listen      = var.metrics_listen
  pushgateway = var.pushgateway_url
}

notify "metrics" "scraped" {
  listen = var.metrics_listen
}

notify "traces" "collector" {
  url = var.receivers
}

sandbox "shop" {}

probe "http" "checkout" {
  url    = sandbox.shop.checkout_url
  method = "POST"
  every  = "100ms"
}

scenario "told" {
  description = "A webhook hears how it goes"
  notify      = [notify.hook, notify.scraped]

  hypothesis "checkout answers" {
    probe = probe.checkout
    hold  = "1s"
  }

  fault "toxiproxy_latency" "late-payments" {
    proxy    = sandbox.shop.payments_proxy
    latency  = "100ms"
    duration = "1s"
  }
}

scenario "everybody" {
  description = "Everybody hears how it goes"

  notify = [
    notify.hook, notify.team, notify.on-call, notify.alerts,
    notify.mail, notify.dashboards, notify.prometheus, notify.collector,
  ]

  hypothesis "checkout answers" {
    probe = probe.checkout
    hold  = "1s"
  }

  fault "toxiproxy_latency" "late-payments" {
    proxy    = sandbox.shop.payments_proxy
    latency  = "100ms"
    duration = "1s"
  }
}
