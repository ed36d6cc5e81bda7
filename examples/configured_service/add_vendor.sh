#!/bin/sh
# Adds the vendor acme, or changes it. Needs curl, and the management client in the first argument: id:secret.
set -eu

management_client=$1
token_service=https://login.site.example
cloakroom=https://api.site.example

token=$(
  curl -sS --fail-with-body "$token_service/oauth/token" -u "$management_client" -d grant_type=client_credentials |
    sed -E 's/.*"access_token":"([^"]+)".*/\1/'
)

curl -sS --fail-with-body -X PUT "$cloakroom/management/vendors/acme/token-handler" \
  -H "authorization: Bearer $token" -H 'content-type: application/json' \
  -d @- <<'SETTINGS'
{
  "clientId": "acme-web",
  "clientSecret": "secret-from-your-provider",
  "audience": "https://backend.example",
  "upstreams": [{ "path": "/news", "target": "https://backend.example" }],
  "allowedOrigins": ["https://www.site.example"],
  "postLogoutRedirects": ["https://www.site.example/"]
}
SETTINGS
