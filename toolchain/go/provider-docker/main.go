// Command pulumi-resource-docker serves kreuzwerker's terraform-provider-docker as Pulumi's `docker` plugin, for machines
// that cannot download Pulumi's own build of it.
//
// It serves the bridged resources of pulumi-docker 5.2.0 under the same tokens and property names, so that one state and one
// Python SDK work with either. It does not have pulumi-docker's native `docker:index/image:Image`: build images with
// `docker.RemoteImage(build=...)`.
package main

import (
	"github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfbridge"
	"github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfbridge/tokens"
	shimv2 "github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfshim/sdk-v2"
	upstream "github.com/terraform-providers/terraform-provider-docker/shim"
)

const (
	pkg     = "docker"
	module  = "index"
	version = "5.2.0"
)

// The real schema is needed by code generators and YAML programs only; a Python program has its generated SDK.
const schema = `{"name": "` + pkg + `", "version": "` + version + `"}`

func main() {
	tfbridge.Main(pkg, version, info(), []byte(schema))
}

func info() tfbridge.ProviderInfo {
	info := tfbridge.ProviderInfo{
		P:       shimv2.NewProvider(upstream.NewProvider(version)),
		Name:    pkg,
		Version: version,
		Config: map[string]*tfbridge.SchemaInfo{
			"host": {Default: &tfbridge.DefaultInfo{
				EnvVars: []string{"DOCKER_HOST"},
				Value:   "unix:///var/run/docker.sock",
			}},
			"registry_auth": {Name: "registryAuth", MaxItemsOne: tfbridge.False()},
		},
		Resources: map[string]*tfbridge.ResourceInfo{
			"docker_container": {
				Tok: tfbridge.MakeResource(pkg, module, "Container"),
				// A container owns its name and its host ports, so a second one cannot start while it exists.
				DeleteBeforeReplace: true,
				// The bridge would make the names of these two plural.
				Fields: map[string]*tfbridge.SchemaInfo{
					"command":           {Name: "command"},
					"networks_advanced": {Name: "networksAdvanced"},
				},
			},
			"docker_image": {
				Tok: tfbridge.MakeResource(pkg, module, "RemoteImage"),
				// An image's name says which image it is: listing the field keeps SetAutonaming from adding a suffix.
				Fields: map[string]*tfbridge.SchemaInfo{"name": {Name: "name"}},
			},
			"docker_config": {Tok: tfbridge.MakeResource(pkg, module, "ServiceConfig")},
		},
		DataSources: map[string]*tfbridge.DataSourceInfo{
			"docker_image": {Tok: tfbridge.MakeDataSource(pkg, module, "getRemoteImage")},
		},
	}
	info.MustComputeTokens(tokens.SingleModule(pkg+"_", module, tokens.MakeStandard(pkg)))
	info.SetAutonaming(255, "-")
	return info
}
