#include "exporter/publish/families.h"

#include <gtest/gtest.h>
#include <prometheus/text_serializer.h>

#include <algorithm>
#include <iterator>
#include <limits>
#include <set>
#include <sstream>
#include <string>

#include "exporter/publish/exposition.h"
#include "exporter/publish/text_writer.h"
#include "tests/unit/samples.h"

namespace pymalloc_exporter {
namespace {

using prometheus::MetricFamily;

std::string Text(const Scrape& scrape) { return WriteMetrics(scrape); }

std::string WriteText(const std::vector<MetricFamily>& families) {
  TextWriter writer(families.size());
  for (size_t i = 0; i < families.size(); ++i) writer.Add(i, families[i]);
  return writer.Text();
}

std::vector<MetricFamily> FamiliesOf(const std::vector<LiveSample>& workers) {
  FamilyBuilder builder;
  for (const LiveSample& live : workers) AddWorker(live, builder);
  std::vector<MetricFamily> filled;
  std::copy_if(builder.families().begin(), builder.families().end(),
               std::back_inserter(filled),
               [](const MetricFamily& family) { return !family.metric.empty(); });
  return filled;
}

bool Has(const std::string& text, const std::string& line) {
  return ("\n" + text).find("\n" + line + "\n") != std::string::npos;
}

size_t SeriesOfWorker(const std::vector<MetricFamily>& families) {
  size_t count = 0;
  for (const MetricFamily& family : families) {
    for (const auto& series : family.metric) {
      count += std::any_of(series.label.begin(), series.label.end(),
                           [](const auto& label) { return label.name == "worker"; });
    }
  }
  return count;
}

TEST(MetricTable, IsInTheOrderOfItsEnumeration) {
  for (int i = 0; i < kMetricCount; ++i) {
    EXPECT_EQ(static_cast<int>(kMetricTable[i].metric), i) << kMetricTable[i].name;
  }
}

TEST(MetricTable, NamesEachMetricOnce) {
  std::set<std::string> names;
  for (const MetricDefinition& definition : kMetricTable) {
    EXPECT_TRUE(names.insert(definition.name).second) << definition.name;
  }
}

TEST(MetricTable, TotalsAreCounters) {
  for (const MetricDefinition& definition : kMetricTable) {
    bool total = std::string(definition.name).ends_with("_total");
    EXPECT_EQ(total, definition.type == prometheus::MetricType::Counter)
        << definition.name;
  }
}

TEST(Families, NameTheWorkerBySlot) {
  std::string text = Text({{Live(7, HealthySample())}});
  EXPECT_TRUE(
      Has(text, R"(process_resident_memory_bytes{app="shop",worker="7"} 50000000)"));
  EXPECT_TRUE(Has(text, R"(pymalloc_bytes{app="shop",worker="7",state="live"} 2097152)"));
  EXPECT_TRUE(
      Has(text, R"(python_info{app="shop",worker="7",implementation="CPython",major="3",)"
                R"(minor="11",patchlevel="7",version="3.11.7"} 1)"));
}

TEST(Families, StayBelow200SeriesAWorker) {
  Sample sample = HealthySample();
  // As 3.13 has them, and a census with all the types that it names by default.
  constexpr int kKindsOf313 = 11;
  for (int i = 0; i < kKindsOf313; ++i) sample.free_lists.kinds[i].capacity = 1;
  sample.census.live_rows = sample.census.pinned_rows = 10;
  sample.census.top_rows = kMostTopRows;
  sample.census.arenas = 1;  // sampled
  sample.malloc.allocator = Allocator::kGlibc;
  EXPECT_LE(SeriesOfWorker(FamiliesOf({Live(0, sample)})), 200u);
}

TEST(Families, ShowSizeClassesAtFullDetailOnly) {
  Sample sample = HealthySample();
  EXPECT_EQ(Text({{Live(0, sample)}}).find("pymalloc_class_blocks"), std::string::npos);
  sample.identity.detail = Detail::kFull;
  EXPECT_TRUE(Has(Text({{Live(0, sample)}}),
                  R"(pymalloc_class_pools{app="shop",worker="0",size="512"} 0)"));
}

TEST(Families, ShowTheErrorOfASampledCensusAtFullDetailOnly) {
  Sample sample = HealthySample();
  sample.identity.detail = Detail::kFull;
  sample.census.live_rows = 1;
  sample.census.live[0].bytes = 300;
  sample.census.other_bytes = 100;
  sample.census.error_bytes = 20;
  sample.census.arenas = sample.census.arenas_read = 9;
  auto shown = [&] { return Text({{Live(0, sample)}}).find("python_live_error_ratio{"); };
  EXPECT_EQ(shown(), std::string::npos);
  sample.census.arenas_read = 3;
  EXPECT_TRUE(Has(Text({{Live(0, sample)}}),
                  R"(python_live_error_ratio{app="shop",worker="0"} 0.05)"));
  sample.identity.detail = Detail::kDefault;
  EXPECT_EQ(shown(), std::string::npos);
}

TEST(Families, ShowFreeListsThatTheInterpreterHas) {
  Sample sample = HealthySample();
  sample.free_lists.kinds[kListFreeList] = {5, 280, 80};
  std::string text = Text({{Live(0, sample)}});
  EXPECT_TRUE(
      Has(text, R"(python_freelist_objects{app="shop",worker="0",type="list"} 5)"));
  EXPECT_TRUE(
      Has(text, R"(python_freelist_bytes{app="shop",worker="0",type="list"} 280)"));
  EXPECT_EQ(text.find("type=\"frame\""), std::string::npos);
  EXPECT_EQ(text.find("python_freelist_capacity_objects"), std::string::npos);
}

TEST(Families, ShowSmallFreeListsAsOneUnlessAtFullDetail) {
  Sample sample = HealthySample();
  sample.free_lists.kinds[kIntFreeList] = {5, 160, 100};
  sample.free_lists.kinds[kRangeFreeList] = {2, 96, 6};
  sample.free_lists.kinds[kMethodFreeList] = {3, 192, 20};
  const char* together =
      R"(python_freelist_bytes{app="shop",worker="0",type="other"} 288)";
  const char* range = R"(python_freelist_bytes{app="shop",worker="0",type="range"} 96)";
  std::string text = Text({{Live(0, sample)}});
  EXPECT_TRUE(Has(text, together));
  EXPECT_FALSE(Has(text, range));
  EXPECT_TRUE(
      Has(text, R"(python_freelist_objects{app="shop",worker="0",type="int"} 5)"));
  sample.identity.detail = Detail::kFull;
  text = Text({{Live(0, sample)}});
  EXPECT_FALSE(Has(text, together));
  EXPECT_TRUE(Has(text, range));
}

TEST(Families, ShowTuplesByLengthInsteadOfTogetherAtFullDetail) {
  Sample sample = HealthySample();
  sample.free_lists.kinds[kTupleFreeList] = {7, 400, 4000};
  sample.free_lists.tuples[0] = {4, 192, 2000};
  sample.free_lists.tuples[1] = {3, 208, 2000};
  const char* together =
      R"(python_freelist_objects{app="shop",worker="0",type="tuple"} 7)";
  EXPECT_TRUE(Has(Text({{Live(0, sample)}}), together));
  sample.identity.detail = Detail::kFull;
  std::string text = Text({{Live(0, sample)}});
  EXPECT_FALSE(Has(text, together));
  EXPECT_TRUE(
      Has(text,
          R"(python_freelist_bytes{app="shop",worker="0",type="tuple",length="2"} 208)"));
  EXPECT_TRUE(Has(
      text,
      R"(python_freelist_capacity_objects{app="shop",worker="0",type="tuple",length="1"} 2000)"));
}

TEST(Families, ShowTheHeapAsItsAllocatorTellsIt) {
  Sample sample = HealthySample();
  sample.malloc.allocator = Allocator::kGlibc;
  sample.malloc.free.bytes = 7;
  sample.malloc.in_use.chunks = 2;
  sample.malloc.mmapped.chunks = 3;
  sample.malloc.trim_bytes = 11;
  std::string text = Text({{Live(0, sample)}});
  EXPECT_TRUE(Has(text, R"(malloc_bytes{app="shop",worker="0",state="free"} 7)"));
  EXPECT_TRUE(Has(text, R"(malloc_chunks{app="shop",worker="0",state="in_use"} 5)"));
  EXPECT_TRUE(Has(
      text, R"(python_memory_reclaimable_bytes{app="shop",worker="0",by="trim"} 11)"));
  sample.malloc.allocator = Allocator::kTcmalloc;
  text = Text({{Live(0, sample)}});
  EXPECT_TRUE(Has(text, R"(malloc_bytes{app="shop",worker="0",state="free"} 7)"));
  EXPECT_EQ(text.find("state=\"top\""), std::string::npos);
  EXPECT_EQ(text.find("malloc_chunks"), std::string::npos);
}

TEST(Families, DeclareAnAllocatorThatIsNotKnown) {
  Sample sample = HealthySample();
  sample.status(CollectorId::kMalloc) = {Reason::kUnknownAllocator, 0, 0};
  std::string text = Text({{Live(0, sample)}});
  EXPECT_TRUE(Has(
      text, R"(malloc_info{app="shop",worker="0",allocator="unknown",version=""} 1)"));
  EXPECT_EQ(text.find("\nmalloc_bytes"), std::string::npos);
}

TEST(Families, LeaveOutWhatACollectorNeverFound) {
  Sample sample = HealthySample();
  sample.status(CollectorId::kPymalloc) = {Reason::kAllocatorMalloc, 0, 0};
  std::string text = Text({{Live(0, sample)}});
  EXPECT_EQ(text.find("pymalloc_arenas"), std::string::npos);
  EXPECT_TRUE(Has(text, R"(pymalloc_exporter_collector_up{app="shop",worker="0",)"
                        R"(collector="pymalloc"} 0)"));
  EXPECT_TRUE(Has(text, R"(pymalloc_exporter_collector_info{app="shop",worker="0",)"
                        R"(collector="pymalloc",reason="allocator_malloc"} 1)"));
}

TEST(Families, KeepTheLastGoodFiguresOfACollectorThatIsDown) {
  Sample sample = HealthySample();
  sample.status(CollectorId::kPymalloc).reason = Reason::kSwapped;
  EXPECT_TRUE(
      Has(Text({{Live(0, sample)}}), R"(pymalloc_arenas{app="shop",worker="0"} 3)"));
}

TEST(Families, NameBandsOfOccupancySoThatTheySort) {
  EXPECT_EQ(OccupancyBandName(0), "00-10");
  EXPECT_EQ(OccupancyBandName(9), "90-100");
  EXPECT_EQ(OccupancyBandName(10), "100");
}

TEST(Families, CgroupIsTheEndpointsAndOfTheProcessThatServes) {
  Sample sample = HealthySample();
  sample.cgroup.usage_bytes = 123;
  EXPECT_EQ(Text({{Live(0, sample)}}).find("cgroup_memory_usage_bytes"),
            std::string::npos);
  sample.identity.serving = true;
  EXPECT_TRUE(Has(Text({{Live(0, sample)}}), "cgroup_memory_usage_bytes 123"));
}

TEST(Roles, FollowWhoWasForkedFromWhom) {
  Sample master = HealthySample(1), worker = HealthySample(2), orphan = HealthySample(3);
  worker.identity.parent_nonce = 1;
  orphan.identity.parent_nonce = 99;
  std::vector<LiveSample> live = {Live(0, master), Live(1, worker), Live(2, orphan)};
  AssignRoles(live);
  EXPECT_EQ(live[0].role, Role::kMaster);
  EXPECT_EQ(live[1].role, Role::kWorker);
  EXPECT_EQ(live[2].role, Role::kProcess);
}

// One of a family: who starts it, and for what.
Sample Spawned(uint64_t nonce, int pid, int parent_pid, Origin origin) {
  Sample sample = HealthySample(nonce);
  sample.identity.pid_namespace = 7;
  sample.identity.pid = pid;
  sample.identity.parent_pid = parent_pid;
  sample.identity.origin = origin;
  sample.process.start_time_seconds = 1000 + pid;
  return sample;
}

std::string RolesOf(std::initializer_list<Sample> samples) {
  std::vector<LiveSample> live;
  for (const Sample& sample : samples) {
    live.push_back(Live(static_cast<int>(live.size()), sample));
  }
  AssignRoles(live);
  std::string roles;
  for (const LiveSample& one : live) {
    roles +=
        std::string(roles.empty() ? "" : " ") + kRoleNames[static_cast<int>(one.role)];
  }
  return roles;
}

TEST(Roles, FollowWhoWasSpawnedToWork) {
  EXPECT_EQ(
      RolesOf({Spawned(1, 10, 1, Origin::kProgram), Spawned(2, 11, 10, Origin::kSpawned),
               Spawned(3, 12, 10, Origin::kHelper)}),
      "master worker process");
}

TEST(Roles, OfAProgramThatAnotherStartedAreItsOwn) {
  EXPECT_EQ(RolesOf({Spawned(1, 10, 1, Origin::kProgram),
                     Spawned(2, 11, 10, Origin::kProgram)}),
            "process process");
}

TEST(Roles, OfThoseThatAForkServerForksBelongToItsStarter) {
  Sample forked = Spawned(3, 12, 11, Origin::kProgram);
  forked.identity.parent_nonce = 2;
  Sample starter = Spawned(1, 10, 1, Origin::kProgram);
  Sample server = Spawned(2, 11, 10, Origin::kHelper);
  EXPECT_EQ(RolesOf({starter, server, forked}), "master process worker");
  EXPECT_EQ(RolesOf({server, forked}), "process worker") << "the starter is not seen";
}

TEST(Roles, AreNotGivenByAPidOfAnotherNamespaceOrOfAYoungerProcess) {
  Sample starter = Spawned(1, 10, 1, Origin::kProgram);
  Sample spawned = Spawned(2, 11, 10, Origin::kSpawned);
  starter.identity.pid_namespace = 8;
  EXPECT_EQ(RolesOf({starter, spawned}), "process process");
  starter.identity.pid_namespace = 7;
  starter.process.start_time_seconds = 2000;
  EXPECT_EQ(RolesOf({starter, spawned}), "process process");
  starter.identity.pid_namespace = spawned.identity.pid_namespace = 0;
  starter.process.start_time_seconds = 1000;
  EXPECT_EQ(RolesOf({starter, spawned}), "process process") << "namespaces not known";
}

MetricFamily Gauge(double value) {
  MetricFamily family{"name", "help", prometheus::MetricType::Gauge, {}};
  family.metric.emplace_back().gauge.value = value;
  return family;
}

std::string Written(double value) {
  std::string text = WriteText({Gauge(value)});
  return text.substr(text.rfind(' ') + 1);
}

TEST(TextWriter, WritesNumbersShortAndExact) {
  EXPECT_EQ(Written(0), "0\n");
  EXPECT_EQ(Written(1e15), "1000000000000000\n");
  EXPECT_EQ(Written(-3), "-3\n");
  EXPECT_EQ(Written(0.1), "0.1\n");
  EXPECT_EQ(Written(1e300), "1e+300\n");
  EXPECT_EQ(Written(1790000000.123456), "1790000000.123456\n");
}

TEST(TextWriter, WritesWhatIsNoNumber) {
  EXPECT_EQ(Written(std::numeric_limits<double>::quiet_NaN()), "NaN\n");
  EXPECT_EQ(Written(std::numeric_limits<double>::infinity()), "+Inf\n");
  EXPECT_EQ(Written(-std::numeric_limits<double>::infinity()), "-Inf\n");
}

TEST(TextWriter, EscapesLabelsAndHelp) {
  MetricFamily family = Gauge(1);
  family.help = "a\\b\nc\"d";
  family.metric[0].label = {{"l", "a\\b\nc\"d"}};
  EXPECT_EQ(
      WriteText({family}),
      "# HELP name a\\\\b\\nc\"d\n# TYPE name gauge\nname{l=\"a\\\\b\\nc\\\"d\"} 1\n");
}

TEST(TextWriter, TakesAFamilyInSeveralGoes) {
  TextWriter writer(2);
  writer.Add(1, Gauge(1));
  writer.Reserve(2);
  writer.Add(1, Gauge(2));
  EXPECT_EQ(writer.Text(), "# HELP name help\n# TYPE name gauge\nname 1\nname 2\n");
}

TEST(Exposition, KeepsEachFamilyInOnePiece) {
  std::vector<LiveSample> workers = {Live(0, HealthySample(1)),
                                     Live(3, HealthySample(2))};
  std::string text = WriteMetrics({workers});
  for (const MetricFamily& family : FamiliesOf(workers)) {
    EXPECT_NE(text.find(WriteText({family})), std::string::npos) << family.name;
  }
}

TEST(TextWriter, WritesWhatPrometheusCppWrites) {
  auto families = FamiliesOf({Live(0, HealthySample(1)), Live(3, HealthySample(2))});
  EXPECT_EQ(WriteText(families), prometheus::TextSerializer().Serialize(families));
}

}  // namespace
}  // namespace pymalloc_exporter
