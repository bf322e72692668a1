#include "exporter/publish/request.h"

#include <gtest/gtest.h>

namespace pymalloc_exporter {
namespace {

HttpPath PathOf(const char* uri) { return TargetOf(uri).path; }

TEST(TargetOf, KnowsExactPathsOnly) {
  EXPECT_EQ(PathOf("/metrics"), HttpPath::kMetrics);
  EXPECT_EQ(PathOf("/metrics?name[]=x"), HttpPath::kMetrics);
  EXPECT_EQ(PathOf("/"), HttpPath::kIndex);
  EXPECT_EQ(PathOf("/-/healthy"), HttpPath::kHealthy);
  EXPECT_EQ(PathOf("/-/ready"), HttpPath::kReady);
  for (const char* other : {"", "/metricsx", "/metrics/", "//metrics", "/METRICS",
                            "other", "/../metrics", "/%6detrics"}) {
    EXPECT_EQ(PathOf(other), HttpPath::kOther) << other;
  }
}

TEST(AcceptsGzip, WhereItIsAskedFor) {
  for (const char* header :
       {"gzip", "x-gzip", "GZIP", "deflate, gzip;q=0.5", "*", "gzip;q=1.0",
        "br;q=1.0, gzip;q=0.8, *;q=0.1", " gzip ; q=0.001"}) {
    EXPECT_TRUE(AcceptsGzip(header)) << header;
  }
}

TEST(AcceptsGzip, NotWhereItIsRefused) {
  for (const char* header :
       {"", "identity", "gzip;q=0", "gzip;q=0.000", "gzip; Q=0", "*;q=0", "gzip;q=0, *",
        "deflate", "gzipped", ",,;", "*, gzip;q=0"}) {
    EXPECT_FALSE(AcceptsGzip(header)) << header;
  }
}

}  // namespace
}  // namespace pymalloc_exporter
