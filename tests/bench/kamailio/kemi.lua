-- The decisions of the four policies, in Lua on Kamailio's KEMI interface.

local TRUNK = "@TRUNK@"

local function count_failure(user, source)
    KSR.htable.sht_inc("failures", "source:" .. source)
    KSR.htable.sht_inc("failures", "user:" .. user)
end

local function in_dialog()
    if KSR.rr.loose_route() > 0 then
        KSR.tm.t_relay()
    elseif not KSR.is_ACK() then
        KSR.sl.sl_send_reply(404, "Not Found")
    elseif KSR.tm.t_check_trans() > 0 then
        KSR.tm.t_relay()
    end
end

local function locked(key, limit)
    local count = KSR.htable.sht_get("failures", key)
    return count ~= nil and count > limit
end

function ksr_request_route()
    if KSR.maxfwd.process_maxfwd(10) < 0 then
        KSR.sl.sl_send_reply(483, "Too Many Hops")
        return 1
    end
    if KSR.sanity.sanity_check(1511, 7) < 0 then
        return 1
    end
    if KSR.is_CANCEL() then
        if KSR.tm.t_check_trans() > 0 then
            KSR.tm.t_relay()
        end
        return 1
    end
    if KSR.siputils.has_totag() > 0 then
        in_dialog()
        return 1
    end
    KSR.tm.t_check_trans()

    -- ip-acl
    local source = KSR.kx.get_srcip()
    if KSR.permissions.allow_source_address(1) < 0 then
        KSR.sl.sl_send_reply(403, "Forbidden")
        return 1
    end
    -- rate-limit
    local network = string.match(source, "^(%d+)%.")
    if KSR.pipelimit.pl_check_limit("source:" .. source, "TAILDROP", 1000000) < 0
        or KSR.pipelimit.pl_check_limit("network:" .. network, "TAILDROP", 1000000) < 0 then
        KSR.sl.sl_send_reply(503, "Service Unavailable")
        return 1
    end
    -- digest-auth
    if locked("source:" .. source, 100) then
        KSR.sl.sl_send_reply(403, "Forbidden")
        return 1
    end
    if KSR.auth.pv_auth_check("sipward", "secret", 0, 0) < 0 then
        local user = KSR.pv.get("$au")
        if user ~= nil then
            count_failure(user, source)
        end
        KSR.auth.auth_challenge("sipward", 1)
        return 1
    end
    if locked("user:" .. KSR.pv.get("$au"), 5) then
        KSR.sl.sl_send_reply(403, "Forbidden")
        return 1
    end
    KSR.auth.consume_credentials()
    -- destination-limits
    if KSR.mtree.mt_match("destinations", KSR.pv.get("$rU"), 0) < 0
        or KSR.pv.get("$avp(s:tvalue)") == "deny" then
        KSR.sl.sl_send_reply(403, "Forbidden")
        return 1
    end

    KSR.rr.record_route()
    KSR.pv.sets("$du", TRUNK)
    if KSR.tm.t_relay() < 0 then
        KSR.sl.sl_reply_error()
    end
    return 1
end
