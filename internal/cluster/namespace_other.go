//go:build !linux

package cluster

import (
	"context"
	"errors"
)

var errLinux = errors.New("a real node needs Linux")

// Run is for Linux only.
func (Node) Run(context.Context) (int, error) { return 0, errLinux }

// Inside is for Linux only.
func (Node) Inside(context.Context) (int, error) { return 0, errLinux }

// Init is for Linux only.
func Init([]string) (int, error) { return 0, errLinux }
