// prometheus-cpp's build would generate this file; built statically, there is nothing to
// export.

#pragma once

#define PROMETHEUS_CPP_CORE_EXPORT
