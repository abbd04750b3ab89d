# What compilers and linkers offer against the exploitation of mistakes, for release builds. (A debug
# build has no optimizer, which _FORTIFY_SOURCE needs; sanitizers bring their own.) tests/hardening
# looks for each in the built program.
if(HVRELAY_SANITIZE)
  return()
endif()

if(MSVC)
  set(compile /guard:cf /sdl)
  set(link /guard:cf /dynamicbase /highentropyva /nxcompat)
else()
  # -U: a distribution may have set it already, lower.
  set(compile -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3 -fstack-protector-strong)
  if(WIN32)
    # Stacks are probed anyhow; gcc 12 breaks down over -fstack-clash-protection there.
    set(link -fstack-protector-strong -Wl,--dynamicbase -Wl,--high-entropy-va -Wl,--nxcompat)
  else()
    list(APPEND compile -fstack-clash-protection -fPIE)
    set(link -pie -Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack)
    if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|i.86")
      list(APPEND compile -fcf-protection=full)
    elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "aarch64")
      list(APPEND compile -mbranch-protection=standard)
    endif()
  endif()
endif()
set(release $<CONFIG:Release,RelWithDebInfo,MinSizeRel>)
target_compile_options(hvrelay-flags INTERFACE "$<${release}:${compile}>")
target_link_options(hvrelay-flags INTERFACE "$<${release}:${link}>")
