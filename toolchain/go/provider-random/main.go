// Command pulumi-resource-random serves terraform-provider-random as Pulumi's `random` plugin, for machines that cannot
// download Pulumi's own build of it. Tokens and property names are those of pulumi-random 4.21.4.
package main

import (
	"context"

	pf "github.com/pulumi/pulumi-terraform-bridge/v3/pkg/pf/tfbridge"
	"github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfbridge"
	"github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfbridge/tokens"
	upstream "github.com/terraform-providers/terraform-provider-random/shim"
)

const (
	pkg     = "random"
	version = "4.21.4"
)

// The real schema is needed by code generators and YAML programs only; a Python program has its generated SDK.
const schema = `{"name": "` + pkg + `", "version": "` + version + `"}`

func main() {
	pf.Main(context.Background(), pkg, info(), pf.ProviderMetadata{PackageSchema: []byte(schema)})
}

func info() tfbridge.ProviderInfo {
	info := tfbridge.ProviderInfo{
		P:       pf.ShimProvider(upstream.NewProvider()),
		Name:    pkg,
		Version: version,
		// The bridge insists on this; what it would hold (renamed tokens) is for providers with a longer past.
		MetadataInfo: tfbridge.NewProviderMetadata([]byte("{}")),
		// Previews plan as upstream does. Otherwise every value that upstream fills in looks unknown, and what depends on
		// it looks changed.
		EnableAccuratePFBridgePreview: true,
		// random_bytes has no `id` upstream; its base64 text is what `pulumi import` takes.
		Resources: map[string]*tfbridge.ResourceInfo{
			"random_bytes": {ComputeID: tfbridge.DelegateIDField("base64", pkg, "toolchain/go/provider-random")},
		},
	}
	// The prefix is part of the resources' names (RandomPassword), so nothing is cut off.
	info.MustComputeTokens(tokens.SingleModule("", "index", tokens.MakeStandard(pkg)))
	return info
}
