// Package shim opens upstream's provider to the bridge. Upstream keeps its constructor in an internal package, which Go
// lets only modules below upstream's own path import: hence this module's name.
package shim

import (
	"github.com/hashicorp/terraform-plugin-sdk/v2/helper/schema"
	"github.com/terraform-providers/terraform-provider-docker/internal/provider"
)

// NewProvider returns upstream's resources that are written with the Terraform plugin SDK.
func NewProvider(version string) *schema.Provider {
	return provider.New(version)()
}
