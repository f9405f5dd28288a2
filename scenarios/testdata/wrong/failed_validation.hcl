variable "replicas" {
  default = 0

  validation {
    condition     = var.replicas > 0
    error_message = "Write at least 1, not ${var.replicas}."
  }
}

variable "key" {
  default   = "planted-secret-1"
  sensitive = true

  validation {
    condition     = strlen(var.key) > 40
    error_message = "The key ${var.key} is too short."
  }
}

variable "count" {
  type    = number
  default = "many"
}

variable "needed" {}

variable "broken" {
  default = 1

  validation {
    condition = var.replicas > 0
  }
}

probe "http" "door" {
  url    = "http://127.0.0.1/${var.needed}/${var.count}/${var.broken}"
  weight = var.replicas
  headers = { key = var.key }
}

scenario "s" {
  hypothesis "it answers" { probe = probe.door }
}
