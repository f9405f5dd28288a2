# Processes of this machine: one hangs, one is killed and must be started again by
# whoever looks after it, and a command of your own does the rest.
#
#   gameday run --var worker_pid_file=/run/worker.pid --var web_port=8080 \
#               --var url=http://127.0.0.1:8080/ --var maintenance=/run/maintenance \
#               processes.hcl
#
# Verdict: held

variable "url" {
  description = "Where the web server answers"
}

variable "web_port" {
  description = "The port it listens on"
  type        = number
}

variable "worker_pid_file" {
  description = "Holds the id of a worker process"
}

variable "maintenance" {
  description = "A file whose presence means that maintenance is going on"
}

probe "http" "web" {
  url     = var.url
  every   = "100ms"
  timeout = "1s"
}

probe "exec" "maintenance" {
  command = ["test", "!", "-e", var.maintenance]
  every   = "500ms"
}

scenario "lost-processes" {
  description = "The web server comes back after it was killed"
  seed        = 17

  hypothesis "the web server answers" {
    probe          = probe.web
    during         = false
    recover_within = "20s"
    hold           = "1s"
  }

  hypothesis "maintenance is over" {
    probe          = probe.maintenance
    during         = false
    recover_within = "10s"
    hold           = "1s"
  }

  fault "process_pause" "hanging-worker" {
    pid_file = var.worker_pid_file
    duration = "1s"
  }

  fault "process_kill" "lost-web-server" {
    port  = var.web_port
    after = fault.hanging-worker
  }

  fault "exec" "maintenance" {
    target   = "the shop's maintenance"
    inject   = ["touch", var.maintenance]
    revert   = ["rm", "-f", var.maintenance]
    check    = ["test", "-e", var.maintenance]
    duration = "1s"
  }
}
