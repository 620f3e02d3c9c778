// Package shim opens upstream's provider to the bridge. Upstream keeps its constructor in an internal package, which Go
// lets only modules below upstream's own path import: hence this module's name.
package shim

import (
	"github.com/hashicorp/terraform-plugin-framework/provider"
	upstream "github.com/terraform-providers/terraform-provider-random/internal/provider"
)

// NewProvider returns upstream's provider, written with the Terraform plugin framework.
func NewProvider() provider.Provider {
	return upstream.New()
}
