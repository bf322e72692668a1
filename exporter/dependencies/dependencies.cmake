# civetweb (HTTP server) and prometheus-cpp (metric model): pinned sources, built into the
# library and hidden in it. zlib comes with the system, and is built in, too, where its static
# library can be: one less to be found and loaded at the start of each interpreter.
#
# A source is taken from FETCHCONTENT_SOURCE_DIR_<NAME> if that is given, else from the
# download cache, else from the first archive that answers: Debian's (where apt is, from the
# mirror that the system uses) or the project's own.

find_package(Threads REQUIRED)
find_package(ZLIB REQUIRED)
include(FetchContent)

set(PYMALLOC_EXPORTER_CACHE "$ENV{XDG_CACHE_HOME}" CACHE PATH "Where downloads are kept")
if(NOT PYMALLOC_EXPORTER_CACHE)
  set(PYMALLOC_EXPORTER_CACHE "$ENV{HOME}/.cache")
endif()
set(downloads "${PYMALLOC_EXPORTER_CACHE}/pymalloc-exporter")

function(has_hash file hash variable)
  set(${variable} FALSE PARENT_SCOPE)
  if(EXISTS ${file})
    file(SHA256 ${file} found)
    if(found STREQUAL hash)
      set(${variable} TRUE PARENT_SCOPE)
    endif()
  endif()
endfunction()

# fetch_source(NAME  DEBIAN_FILE DEBIAN_SHA256 DEBIAN_PACKAGE SUITE  URL URL_SHA256)
# sets <name>_SOURCE_DIR in the caller.
function(fetch_source name debian_file debian_hash package suite url url_hash)
  string(TOUPPER ${name} upper)
  set(source "${FETCHCONTENT_SOURCE_DIR_${upper}}")
  if(NOT source)
    set(archive ${downloads}/${debian_file})
    has_hash(${archive} ${debian_hash} good)
    if(NOT good)
      message(STATUS "Fetching ${name}: Debian's source package of ${suite}")
      execute_process(COMMAND ${CMAKE_CURRENT_FUNCTION_LIST_DIR}/fetch_debian_source
                              ${package} ${suite} ${downloads})
      has_hash(${archive} ${debian_hash} good)
    endif()
    if(NOT good)
      set(archive ${downloads}/${name}.tar.gz)
      has_hash(${archive} ${url_hash} good)
    endif()
    if(NOT good)
      message(STATUS "Fetching ${name}: ${url}")
      file(DOWNLOAD ${url} ${archive} TIMEOUT 120 STATUS answer)
      has_hash(${archive} ${url_hash} good)
    endif()
    if(NOT good)
      message(FATAL_ERROR
        "No archive gave ${name}: neither Debian's (source package ${package}, ${suite}) nor "
        "${url} (${answer}). This is a matter of the network, not of the code. Give an "
        "unpacked source with -DFETCHCONTENT_SOURCE_DIR_${upper}=DIR.")
    endif()
    set(unpacked ${CMAKE_BINARY_DIR}/dependencies/${name})
    file(REMOVE_RECURSE ${unpacked})
    file(ARCHIVE_EXTRACT INPUT ${archive} DESTINATION ${unpacked})
    file(GLOB source ${unpacked}/*)
  endif()
  set(${name}_SOURCE_DIR ${source} PARENT_SCOPE)
endfunction()

fetch_source(civetweb
  civetweb_1.16+dfsg.orig.tar.xz
  41dbfd68cd3b914ce440a5813f21058813b61a972600cc04fb8233a0d2d04fe4 civetweb trixie
  https://github.com/civetweb/civetweb/archive/refs/tags/v1.16.tar.gz
  f0e471c1bf4e7804a6cfb41ea9d13e7d623b2bcc7bc1e2a4dd54951a24d60285)
fetch_source(prometheus_cpp
  prometheus-cpp_1.0.1.orig.tar.gz
  593e028d401d3298eada804d252bc38d8cab3ea1c9e88bcd72095281f85e6d16 prometheus-cpp bookworm
  https://github.com/jupp0r/prometheus-cpp/archive/refs/tags/v1.0.1.tar.gz
  593e028d401d3298eada804d252bc38d8cab3ea1c9e88bcd72095281f85e6d16)

# No files, scripts, caching, TLS: what is not there has no holes. Its call of sigaction(2), by
# which it would ignore SIGPIPE for the whole process, goes to a function of ours that does
# nothing (exporter/publish/server.cc); those of accept(2) and poll(2) to ours, which give slow
# clients less patience where others wait (exporter/publish/crowd.h).
add_library(civetweb STATIC ${civetweb_SOURCE_DIR}/src/civetweb.c)
target_include_directories(civetweb SYSTEM PUBLIC ${civetweb_SOURCE_DIR}/include)
target_compile_definitions(civetweb PRIVATE
  NO_FILES NO_CGI NO_CACHING NO_SSL USE_IPV6 USE_STACK_SIZE=262144 SOCKET_TIMEOUT_QUANTUM=200
  sigaction=pymalloc_exporter_ignored_sigaction
  accept=pymalloc_exporter_accept poll=pymalloc_exporter_poll)
target_compile_options(civetweb PRIVATE -w)
target_link_libraries(civetweb PRIVATE Threads::Threads)

# The metric model is headers; its own text format is there for tests to compare with.
add_library(prometheus_model INTERFACE)
target_include_directories(prometheus_model SYSTEM INTERFACE
  ${prometheus_cpp_SOURCE_DIR}/core/include ${CMAKE_CURRENT_LIST_DIR}/include)
add_library(prometheus_text STATIC EXCLUDE_FROM_ALL
  ${prometheus_cpp_SOURCE_DIR}/core/src/serializer.cc
  ${prometheus_cpp_SOURCE_DIR}/core/src/text_serializer.cc)
target_link_libraries(prometheus_text PUBLIC prometheus_model)

# Where there is a static one beside the library that was found, that is built in: it is one
# library less to load at each start.
list(GET ZLIB_LIBRARIES 0 zlib_library)
get_filename_component(zlib_folder ${zlib_library} DIRECTORY)
find_library(static_zlib libz.a PATHS ${zlib_folder} NO_DEFAULT_PATH)
if(static_zlib)
  include(CheckCSourceCompiles)
  set(CMAKE_REQUIRED_FLAGS -fPIC)
  set(CMAKE_REQUIRED_LINK_OPTIONS -shared -Wl,--exclude-libs,ALL)  # as bindings link it
  set(CMAKE_REQUIRED_LIBRARIES ${static_zlib})
  check_c_source_compiles("#include <zlib.h>
int Finish(z_stream* stream) { return deflate(stream, Z_FINISH); }" STATIC_ZLIB_IS_RELOCATABLE)
  unset(CMAKE_REQUIRED_FLAGS)
  unset(CMAKE_REQUIRED_LINK_OPTIONS)
  unset(CMAKE_REQUIRED_LIBRARIES)
endif()
add_library(zlib INTERFACE)
target_include_directories(zlib SYSTEM INTERFACE ${ZLIB_INCLUDE_DIRS})
if(STATIC_ZLIB_IS_RELOCATABLE)
  target_link_libraries(zlib INTERFACE ${static_zlib})
else()
  target_link_libraries(zlib INTERFACE ZLIB::ZLIB)
endif()
