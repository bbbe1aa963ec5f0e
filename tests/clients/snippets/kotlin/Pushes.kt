import java.io.IOException
import java.util.concurrent.TimeUnit
import okhttp3.MediaType.Companion.toMediaType
import okhttp3.OkHttpClient
import okhttp3.Request
import okhttp3.RequestBody.Companion.toRequestBody
import org.json.JSONObject

val device = "${System.getenv("SLIPWAY_URL")}/v1/devices/${System.getenv("DEVICE_ID")}"
// The server sends a line every 20 seconds. The default of 10 seconds would end each stream.
val http = OkHttpClient.Builder().readTimeout(60, TimeUnit.SECONDS).build()
val applied = mutableSetOf<String>()
var lastEventId = "0"
var retryMs = 3000L

fun main() {
    while (true) {
        try {
            receive()
        } catch (error: IOException) {
            System.err.println(error)
        }
        Thread.sleep(retryMs)
    }
}

fun receive() {
    val request = request("/events").header("Last-Event-ID", lastEventId).build()
    http.newCall(request).execute().use { response ->
        val lines = response.body.source()
        if (response.code != 200) throw IOException("${response.code} ${lines.readUtf8()}")
        var id = ""
        var data = ""
        while (true) {
            val line = lines.readUtf8Line() ?: return
            when {
                line.startsWith("retry: ") -> retryMs = line.substring(7).toLong()
                line.startsWith("id: ") -> id = line.substring(4)
                line.startsWith("data: ") -> data = line.substring(6)
                line.isEmpty() && data.isNotEmpty() -> {
                    handle(JSONObject(data))
                    lastEventId = id
                    data = ""
                }
            }
        }
    }
}

/** A push can arrive again: it is applied once, and acknowledged each time. */
fun handle(push: JSONObject) {
    val id = push.getString("push_id")
    if (applied.add(id)) println("push ${push.getLong("sequence")} ${push.getString("pack_url")}")
    val body = """{"state":"applied"}""".toRequestBody("application/json".toMediaType())
    http.newCall(request("/pushes/$id/ack").post(body).build()).execute().use { response ->
        val text = response.body.string()
        if (response.code != 200) throw IOException("${response.code} $text")
        println("acknowledged $text")
    }
}

fun request(path: String) =
    Request.Builder().url(device + path).header("Authorization", "Bearer ${System.getenv("DEVICE_TOKEN")}")
