# SPDX-License-Identifier: Apache-2.0
fovea check small.xml
fovea check -q small.xml
fovea check small.xml nothere.xml small.xml --let=W=4
fovea check --json small.xml nothere.xml
fovea check --let W=x small.xml
fovea check --let V=1 small.xml
sed 's/<add a="x"/<add a="z"/' small.xml >bad.xml
fovea check bad.xml
fovea check --diagnostics=json bad.xml
fovea check . /dev/null
# A file of weights for a model that has none.
fovea check small.xml --weights=none.safetensors
